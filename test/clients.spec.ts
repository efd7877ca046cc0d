import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Sse } from '@nestjs/common';
import {
  heartbeat,
  LastEventId,
  SseChannel,
  SseModule,
  type SseModuleOptions,
  SseService,
} from 'nestjs-sse-channels';
import type { Browser } from 'playwright-core';
import { type Platform, platforms, startApp, terminate } from './support/app.js';
import { launchChromium } from './support/chromium.js';
import { Cli } from './support/cli.js';
import { connect } from './support/client.js';
import {
  type ClientLine,
  type ClientName,
  clientNames,
  clientScript,
  nodeClientNames,
} from './support/event-clients.js';
import { type ScriptedPage, Site } from './support/page.js';
import { Relay } from './support/relay.js';
import { until } from './support/until.js';

@Controller()
class NewsController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channel')
  channel() {
    return 'news';
  }

  @Sse('sse')
  stream(@LastEventId() lastEventId?: string) {
    return this.sse.messages('news', { lastEventId }).pipe(heartbeat(1_000));
  }
}

let browser: Browser;
let site: Site;
const pages: ScriptedPage[] = [];

beforeAll(async () => {
  [browser, site] = await Promise.all([launchChromium(), Site.start()]);
});
afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.close()));
});
afterAll(async () => {
  await browser.close();
  site.close();
});

const runInPage = async (...args: [script: string, cookie?: { url: string; value: string }]) => {
  const page = await site.run(browser, ...args);
  pages.push(page);
  return page;
};
const runInNode = async (script: string) =>
  new Cli('', {}, ['node', '--input-type=module', '--eval', script]);

/** Every client in Chromium, and those that run there in Node.js. */
const runs = [
  ...clientNames.map((name) => [name, 'Chromium', runInPage] as const),
  ...nodeClientNames.map((name) => [name, 'Node.js', runInNode] as const),
];
type Run = (typeof runs)[number][2];

/** A client that runs, and what it has told of. */
async function open(name: ClientName, run: Run, urls: string[]) {
  const program = await run(clientScript(name, urls));
  const lines = () => program.lines.map((line) => JSON.parse(line) as ClientLine);
  const events = () => lines().filter(({ type }) => type !== undefined);
  return {
    lines,
    events,
    waits: () => lines().flatMap(({ wait }) => wait ?? []),
    /** Waits until the application has been handed an event with this data. */
    received: (data: string) => until(events, (all) => all.some((event) => event.data === data)),
  };
}

const OPEN = { type: 'sse.open', data: '{"channel":"news"}' };
const typeAndData = ({ type, data }: ClientLine) => ({ type, data });

async function start(platform: Platform, options: SseModuleOptions) {
  const metadata = { imports: [SseModule.forRoot(options)], controllers: [NewsController] };
  // The page of the scripts is another origin.
  const { app, url } = await startApp(platform, metadata, (created) => created.enableCors());
  const sse = app.get(SseService);
  const publish = (data: string) => sse.publish(data, { channel: 'news', type: 'news' });
  return { app, url, sse, publish, relay: await Relay.start(url) };
}

describe.each(platforms)('On %s', (_, platform) => {
  describe.each(runs)('%s in %s', (name, _environment, run) => {
    it('hands over each event once and in order between heartbeats and across reconnections, and nothing else', async () => {
      const { sse, publish, relay } = await start(platform, { heartbeatMs: 1_000, retryMs: 500 });
      const client = await open(name, run, [`${relay.url}/channel`]);
      await client.received(OPEN.data);
      const ids = [client.events()[0]!.id!, await publish('the first')];
      await client.received('the first');
      const heartbeatsLater = async (count: number) => {
        const before = relay.heartbeats;
        await until(() => relay.heartbeats >= before + count);
      };
      await heartbeatsLater(2);
      ids.push(await publish('behind heartbeats'));
      await client.received('behind heartbeats');
      relay.cut();
      ids.push(await publish('missed behind a break'));
      await client.received('missed behind a break');
      await heartbeatsLater(1);
      ids.push(await publish('behind a heartbeat'));
      await client.received('behind a heartbeat');
      await sse.disconnect({ channel: 'news' }, { refuseMs: 0 });
      ids.push(await publish('missed behind an end'));
      await client.received('missed behind an end');
      expect(client.events()).toEqual([
        { ...OPEN, path: '/channel', id: ids[0] },
        ...[
          'the first',
          'behind heartbeats',
          'missed behind a break',
          'behind a heartbeat',
          'missed behind an end',
        ].map((data, n) => ({ path: '/channel', type: 'news', data, id: ids[n + 1] })),
      ]);
      expect(relay.retries).toHaveLength(3);
      // The browser's own shows no timer: there is a test of its own below.
      if (name !== 'EventSource') expect(client.waits()).toEqual(relay.retries.slice(0, 2));
    });

    it('hands over nothing when it is refused or drained, and waits as long as it is told', async () => {
      const options = { retryMs: 1_000, drainMs: 100, limits: { connections: 2 } };
      const { app, url, sse, relay } = await start(platform, options);
      const other = await connect(`${url}/channel`);
      const client = await open(name, run, [`${relay.url}/channel`]);
      await client.received(OPEN.data);
      const refused = await Relay.start(url);
      const refusedClient = await open(name, run, [`${refused.url}/channel`]);
      await until(() => sse.stats().refused > 0 && refused.retries.length > 0);
      expect(refused.retries.at(-1)).toBeGreaterThanOrEqual(10_000);
      other.close();
      const terminated = terminate(app);
      await until(() => relay.retries.length > 1);
      if (name !== 'EventSource') {
        const waits = await until(client.waits, ({ length }) => length > 0);
        expect(waits[0]).toBe(relay.retries[1]);
        expect(await until(refusedClient.waits, ({ length }) => length > 0)).toEqual([
          refused.retries.at(-1),
        ]);
      }
      await terminated;
      expect(client.events().map(typeAndData)).toEqual([OPEN]);
      expect(refusedClient.lines().filter(({ wait }) => wait === undefined)).toEqual([]);
    });
  });

  it('EventSource in Chromium waits as long as it is told', async () => {
    // Its own time is 3 s.
    const { relay } = await start(platform, { retryMs: 8_000 });
    const client = await open('EventSource', runInPage, [`${relay.url}/channel`]);
    await client.received(OPEN.data);
    expect(relay.retries).toEqual([4_000]);
    const begin = performance.now();
    relay.cut();
    await until(() => relay.heads.length === 2);
    expect(performance.now() - begin).toBeGreaterThan(3_900);
    expect(relay.heads[1]).toMatch(/^last-event-id: \d+-\d+$/im);
  });
});

describe.each(runs)('%s in %s', (name, _environment, run) => {
  it('is handed what Nest writes for heartbeat()', async () => {
    const { publish, relay, sse } = await start(platforms[0][1], {});
    const client = await open(name, run, [`${relay.url}/sse`]);
    await until(() => sse.stats().streams === 1);
    const nestHeartbeats = () => relay.responses.match(/\n: \n\n/g)?.length ?? 0;
    await until(() => nestHeartbeats() > 1);
    await publish('the first');
    await client.received('the first');
    // The blank line at the start, in a chunk of its own.
    expect(relay.responses).toMatch(/\r\n\r\n1\r\n\n\r\n/);
    const empty = client.events().filter(({ data }) => data === '');
    expect(
      client
        .events()
        .filter(({ data }) => data !== '')
        .map(typeAndData),
    ).toEqual([{ type: 'news', data: 'the first' }]);
    const expected = { 'fetch-event-source': 3, 'extended-eventsource': 2 }[name as string] ?? 0;
    expect(empty.length).toBeGreaterThanOrEqual(expected);
    if (expected === 0) expect(empty).toEqual([]);
  });

  it('gets an event again that broke off in the middle, unless it takes the id before the event is complete', async () => {
    const { publish, relay } = await start(platforms[0][1], { retryMs: 500 });
    const client = await open(name, run, [`${relay.url}/channel`]);
    await client.received(OPEN.data);
    relay.endAfter = 'the first half,';
    await publish('the first half, the second half');
    await until(() => relay.endAfter === undefined);
    await publish('the next');
    await client.received('the next');
    const isLost = ['fetch-event-source', 'extended-eventsource'].includes(name);
    expect(client.events().map(({ data }) => data)).toEqual([
      OPEN.data,
      ...(isLost ? [] : ['the first half, the second half']),
      'the next',
    ]);
  });
});

describe('Other answers than a stream', () => {
  const answers = {
    '/204': [204, {}],
    '/401': [401, { 'content-type': 'application/json' }],
    '/403': [403, { 'content-type': 'application/json' }],
    '/503': [503, { 'content-type': 'text/html' }],
    '/page': [200, { 'content-type': 'text/html' }],
  } as const;
  const paths = Object.keys(answers) as (keyof typeof answers)[];
  const server = createServer((request, response) => {
    const path = request.url as keyof typeof answers;
    requests.set(path, (requests.get(path) ?? 0) + 1);
    const [status, headers] = answers[path];
    response.writeHead(status, { ...headers, 'access-control-allow-origin': '*' }).end();
  });
  const requests = new Map<string, number>();

  beforeAll(() => once(server.listen(0, '127.0.0.1'), 'listening'));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it.each(runs)(
    'end %s in %s for good, or are followed by another attempt',
    async (name, _environment, run) => {
      requests.clear();
      const { port } = server.address() as AddressInfo;
      const client = await open(
        name,
        run,
        paths.map((path) => `http://127.0.0.1:${port}${path}`),
      );
      const hasEnded = (path: string) => client.lines().some((line) => line.path === path && line.ended);
      await until(() => paths.every((path) => hasEnded(path) || requests.get(path)! > 1));
      const endsAt = paths.filter(hasEnded);
      expect(endsAt).toEqual(
        { 'fetch-event-source': [], 'eventsource-client': ['/204'] }[name as string] ?? paths,
      );
      for (const path of endsAt) expect(requests.get(path)).toBe(1);
      expect(client.events()).toEqual([]);
    },
  );
});

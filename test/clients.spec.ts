import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  HttpException,
  type INestApplication,
  Injectable,
  Param,
  Sse,
  UseGuards,
} from '@nestjs/common';
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

/** After how long a client reconnects that was told nothing. The browser's own shows no timer. */
const DEFAULT_WAIT_MS: Partial<Record<ClientName, number>> = {
  'fetch-event-source': 1_000,
  'eventsource-client': 2_000,
  eventsource: 3_000,
  'extended-eventsource': 5_000,
};

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

describe.each(platforms)('On %s', (platformName, platform) => {
  // The clients in Node.js read the same bytes.
  describe.each(platformName === 'Express' ? runs : runs.slice(0, clientNames.length))(
    '%s in %s',
    (name, _environment, run) => {
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
    },
  );

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
    // Nest sends no `retry:`: this is the time of the client's own.
    relay.cut();
    const wait = DEFAULT_WAIT_MS[name];
    if (wait) expect(await until(client.waits, ({ length }) => length > 0)).toEqual([wait]);
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

describe('fetch-event-source in Chromium', () => {
  const script = (url: string, options: string) => `
    import { fetchEventSource } from '@microsoft/fetch-event-source';
    fetchEventSource('${url}/channel', { onclose() { throw new Error(); }, ${options} });
  `;

  it('has two connections if its page becomes visible while it waits to reconnect', async () => {
    const { sse, publish, relay } = await start(platforms[0][1], { retryMs: 4_000 });
    const { page, lines } = await runInPage(
      script(
        relay.url,
        `onmessage: ({ event, data }) => event === 'news' && console.log(data),
        onerror: () => console.log('waits'),`,
      ),
    );
    await until(() => sse.stats().streams === 1);
    relay.cut();
    await until(() => lines.includes('waits'));
    await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    await until(() => sse.stats().streams === 2);
    await publish('the first');
    await until(() => lines.length > 2);
    expect(lines).toEqual(['waits', 'the first', 'the first']);
  });

  it('keeps the connection, and opens another one, if the application throws', async () => {
    const { sse, publish, relay } = await start(platforms[0][1], { retryMs: 500 });
    const onmessage = `onmessage({ event, data }) {
      if (event !== 'news') return;
      console.log(data);
      throw new Error();
    }`;
    const { lines } = await runInPage(script(relay.url, `openWhenHidden: true, ${onmessage}`));
    await until(() => sse.stats().streams === 1);
    await publish('the first');
    await until(() => sse.stats().streams === 2);
    expect(lines).toEqual(['the first']);
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

/** Lets requests in that have the token, or the cookie. */
@Injectable()
class SignedIn implements CanActivate {
  /** The status of a refusal. */
  status = 401;
  /** Refuses everyone. */
  isClosed = false;

  canActivate(context: ExecutionContext): boolean {
    const { authorization, cookie } = context
      .switchToHttp()
      .getRequest<{ headers: Record<string, string | undefined> }>().headers;
    if (!this.isClosed && (authorization === 'Bearer secret' || cookie === 'session=secret')) return true;
    throw new HttpException('', this.status);
  }
}

@Controller('orders/:id')
class OrdersController {
  @SseChannel('events')
  @UseGuards(SignedIn)
  events(@Param('id') id: string) {
    return `order:${id}`;
  }
}

const document = readFileSync('docs/clients.md', 'utf8');

/** The snippets of a section, in order, for an application and a page of other origins than the document's. */
function snippetsOf(heading: string, apiUrl: string): string[] {
  const section = document.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))!;
  return Array.from(section.matchAll(/^ *```\w+\n([^]*?)^ *```$/gm), ([, code]) =>
    code!.replaceAll('https://api.example.com', apiUrl).replaceAll('https://app.example.com', site.origin),
  );
}

const [corsSnippet, originsSnippet] = ['app', 'SseModule'].map(
  (name, n) => (value: unknown) =>
    // oxlint-disable-next-line no-new-func, no-implied-eval -- the document's own code
    new Function(name, `return (${snippetsOf('Pages of another origin', '')[n]!.trim().replace(/;$/, '')});`)(
      value,
    ) as unknown,
);

async function startOrders(
  platform: Platform,
  {
    options = {},
    configure = () => undefined,
  }: { options?: SseModuleOptions; configure?: (app: INestApplication) => void } = {},
) {
  let given: SseModuleOptions = {};
  originsSnippet!({ forRoot: (documented: SseModuleOptions) => (given = documented) });
  const metadata = {
    imports: [SseModule.forRoot({ ...given, ...options })],
    controllers: [OrdersController],
    providers: [SignedIn],
  };
  const { app, url } = await startApp(platform, metadata, configure);
  const sse = app.get(SseService);
  const publish = (status: string) => sse.publish({ status }, { channel: 'order:7', type: 'status' });
  return { sse, publish, signedIn: app.get(SignedIn), relay: await Relay.start(url) };
}

const documentedCors = (app: INestApplication) => void corsSnippet!(app);
const cookieFor = ({ url }: Relay) => ({ url, value: 'secret' });

/** What a reader would have around a snippet in JavaScript. */
const AROUND = `globalThis.token = 'secret'; globalThis.load = () => console.log('load');\n`;

describe.each(platforms)('The document, before %s,', (_, platform) => {
  const inPage = (code: string, relay: Relay) => runInPage(AROUND + code, cookieFor(relay));
  const inNode = (code: string) => runInNode(AROUND + code);
  const inPython = (code: string) => new Cli('', { TOKEN: 'secret' }, ['python3', '-u', '-c', code]);

  it.each([
    ['EventSource', 'Chromium', inPage, undefined],
    ['eventsource', 'Node.js', inNode, 'ended by 401'],
    ['extended-eventsource', 'Chromium', inPage, 'ended by 401'],
    ['extended-eventsource', 'Node.js', inNode, 'ended by 401'],
    ['fetch-event-source', 'Chromium', inPage, 'ended by 401'],
    ['eventsource-client', 'Chromium', inPage, 'ended'],
    ['eventsource-client', 'Node.js', inNode, 'ended'],
    ['Python', 'Python', inPython, undefined],
  ] as const)('has a snippet for %s that reads in %s', async (heading, environment, run, end) => {
    const options = { retryMs: 1_000, history: { maxReplayEvents: 2 } };
    const { sse, publish, signedIn, relay } = await startOrders(platform, {
      options,
      configure: documentedCors,
    });
    const program = await run(snippetsOf(heading, relay.url)[0]!, relay);
    const printed = (line: string) => until(() => program.lines.includes(line));
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await printed('paid');
    relay.cut();
    await publish('packed');
    await printed('packed');
    relay.cut();
    await Promise.all(['more', 'than', 'it', 'may', 'miss'].map(publish));
    await printed('load');
    await publish('sent');
    await printed('sent');
    signedIn.isClosed = true;
    await sse.disconnect({ channel: 'order:7' }, { refuseMs: 0 });
    if (end) await printed(end);
    if (program instanceof Cli && environment === 'Python') {
      expect(await program.end()).toBe(1);
      expect(program.stderr).toContain('HTTP Error 401');
    }
    expect(program.lines).toEqual(['paid', 'packed', 'load', 'sent', ...(end ? [end] : [])]);
  });

  it('has a snippet for EventSource that survives a 503 of a proxy', async () => {
    const { sse, publish, signedIn, relay } = await startOrders(platform, { options: { retryMs: 500 } });
    const page = await inPage(snippetsOf('EventSource', relay.url)[1]!, relay);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    Object.assign(signedIn, { isClosed: true, status: 503 });
    relay.cut();
    await until(() => relay.responses.includes(' 503 '));
    await publish('packed');
    signedIn.isClosed = false;
    // The snippet waits for up to 10 s.
    await until(() => page.lines.includes('packed'), Boolean, 30_000);
    expect(page.lines).toEqual(['paid', 'packed']);
    expect(relay.heads.at(-1)).toMatch(/^GET \S+\?lastEventId=\d/);
    // It reconnects by itself again, by the header, which takes precedence over the older position in its URL.
    await publish('sent');
    await until(() => page.lines.includes('sent'));
    relay.cut();
    await publish('delivered');
    await until(() => page.lines.includes('delivered'));
    expect(page.lines).toEqual(['paid', 'packed', 'sent', 'delivered']);
    expect(relay.heads.at(-1)).toMatch(/\?lastEventId=\d[^]*^last-event-id: \d/im);
  }, 60_000);

  it('has a command for curl that shows the stream, and ends by a status', async () => {
    const { sse, publish, signedIn, relay } = await startOrders(platform);
    const [command] = snippetsOf('curl', relay.url);
    const curl = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', command!]);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => curl.lines.includes('data: {"status":"paid"}'));
    const id = curl.lines.findLast((line) => line.startsWith('id: '))!.slice(4);
    await publish('packed');
    const resuming = `${command!.trim()} --header "Last-Event-ID: ${id}"`;
    const again = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', resuming]);
    await until(() => again.lines.includes('data: {"status":"packed"}'));
    expect(again.stdout).not.toContain('paid');
    signedIn.isClosed = true;
    const refused = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', command!]);
    expect(await refused.end()).toBe(22);
    expect(refused.stdout).toBe('');
  });

  it('names an exception of a guard that ends clients by 204', async () => {
    const { signedIn, relay } = await startOrders(platform);
    Object.assign(signedIn, { isClosed: true, status: 204 });
    const program = await inNode(snippetsOf('eventsource', relay.url)[0]!);
    await until(() => program.lines.includes('ended by 204'));
  });
});

describe.each(platforms)('A page of another origin, before %s,', (_, platform) => {
  const listen = `
    source.addEventListener('status', ({ data }) => console.log(JSON.parse(data).status));
    source.addEventListener('error', () => source.readyState === 2 && console.log('closed'));
  `;
  const withCookies = ({ url }: Relay) =>
    `const source = new EventSource('${url}/orders/7/events', { withCredentials: true }); ${listen}`;
  const preflights = ({ heads }: Relay) =>
    heads
      .filter((head) => head.startsWith('OPTIONS '))
      .map((head) => /^access-control-request-headers: (.*)$/im.exec(head)![1]);
  const gets = ({ heads }: Relay) => heads.filter((head) => head.startsWith('GET '));

  it.each([
    ['the option origins alone', undefined],
    ['enableCors() of the document besides', documentedCors],
  ])('reads with cookies by %s, and resumes without a preflight', async (_what, configure) => {
    const { sse, publish, relay } = await startOrders(platform, { options: { retryMs: 500 }, configure });
    const page = await runInPage(withCookies(relay), cookieFor(relay));
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await publish('packed');
    await until(() => page.lines.includes('packed'));
    expect(page.lines).toEqual(['paid', 'packed']);
    expect(preflights(relay)).toEqual([]);
    expect(gets(relay).at(-1)).toMatch(/^last-event-id: \d+-\d+$/im);
  });

  it('is refused with its cookies without the option origins, whatever enableCors() allows', async () => {
    const { relay } = await startOrders(platform, { options: { origins: [] }, configure: documentedCors });
    const page = await runInPage(withCookies(relay), cookieFor(relay));
    await until(() => page.lines.includes('closed'));
    expect(relay.responses).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('reads with a bearer token after a preflight, and resumes', async () => {
    const { sse, publish, relay } = await startOrders(platform, {
      options: { origins: [], retryMs: 500 },
      configure: documentedCors,
    });
    const page = await runInPage(AROUND + snippetsOf('fetch-event-source', relay.url)[0]!);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await publish('packed');
    await until(() => page.lines.includes('packed'));
    expect(page.lines).toEqual(['paid', 'packed']);
    expect(preflights(relay)[0]).toBe('authorization');
    expect(gets(relay).at(-1)).toMatch(/^last-event-id: \d+-\d+$/im);
  });

  it('does not resume where Last-Event-ID is not an allowed header', async () => {
    const { sse, publish, relay } = await startOrders(platform, {
      options: { retryMs: 500 },
      configure: (app) => app.enableCors({ origin: site.origin, allowedHeaders: ['Authorization'] }),
    });
    const page = await runInPage(AROUND + snippetsOf('fetch-event-source', relay.url)[0]!);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await until(() => preflights(relay).length > 2);
    expect(preflights(relay).slice(0, 3)).toEqual([
      'authorization',
      'authorization,last-event-id',
      'authorization,last-event-id',
    ]);
    expect(gets(relay)).toHaveLength(1);
  });

  it.each([
    ['is told the 401 of a guard by enableCors()', documentedCors, ['ended by 401']],
    ['takes the 401 of a guard for a network error without it, and retries', undefined, []],
  ])('%s', async (_what, configure, lines) => {
    const { signedIn, relay } = await startOrders(platform, { configure });
    signedIn.isClosed = true;
    const script = snippetsOf('fetch-event-source', relay.url)[0]!.replace(
      'headers: { Authorization: `Bearer ${token}` }',
      `credentials: 'include'`,
    );
    const page = await runInPage(AROUND + script, cookieFor(relay));
    await until(() => page.lines.length > 0 || gets(relay).length > 1);
    expect(page.lines).toEqual(lines);
    expect(relay.responses).toMatch(/^HTTP\/1\.1 401 /);
  });
});

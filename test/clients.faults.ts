import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { DEFAULT_WAIT_MS, open, OPEN, runInPage, runs, start, typeAndData } from './support/client-runs.js';
import { until } from './support/until.js';

describe.each(runs)('%s in %s', (name, _environment, run) => {
  it('gets empty messages for the blocks that Nest writes for heartbeat()', async () => {
    const { publish, relay, sse } = await start(platforms[0][1], {});
    const client = await open(name, run, [`${relay.url}/sse`]);
    await until(() => sse.stats().connections === 1);
    const nestHeartbeats = () => relay.responses.match(/\n: \n\n/g)?.length ?? 0;
    await until(() => nestHeartbeats() > 1);
    await publish('the first');
    await client.received('the first');
    // The blank line at the start, in its own chunk.
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
    // Nest sends no `retry:`: the client uses its default time.
    relay.cut();
    const wait = DEFAULT_WAIT_MS[name];
    if (wait) expect(await until(client.waits, ({ length }) => length > 0)).toEqual([wait]);
  });

  it('gets an interrupted event again, unless it takes the id before the event is complete', async () => {
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
    await until(() => sse.stats().connections === 1);
    relay.cut();
    await until(() => lines.includes('waits'));
    await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    await until(() => sse.stats().connections === 2);
    await publish('the first');
    await until(() => lines.length > 2);
    expect(lines).toEqual(['waits', 'the first', 'the first']);
  });

  it('keeps the connection, and opens a second one, if the application throws', async () => {
    const { sse, publish, relay } = await start(platforms[0][1], { retryMs: 500 });
    const onmessage = `onmessage({ event, data }) {
      if (event !== 'news') return;
      console.log(data);
      throw new Error();
    }`;
    const { lines } = await runInPage(script(relay.url, `openWhenHidden: true, ${onmessage}`));
    await until(() => sse.stats().connections === 1);
    await publish('the first');
    await until(() => sse.stats().connections === 2);
    expect(lines).toEqual(['the first']);
  });
});

describe('Responses other than an event stream', () => {
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

  it.each(runs)('end %s in %s for good, or cause a retry', async (name, _environment, run) => {
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
  });
});

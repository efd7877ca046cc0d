import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { launchChromium } from './support/chromium.js';
import { ClientPage, clientScript } from './support/client-page.js';
import { freePort } from './support/port.js';
import { Proxy } from './support/proxy.js';
import { type Answer, html, resuming, ScriptedServer, status, stream } from './support/scripted-server.js';
import { until } from './support/until.js';

/** A hundredth of the usual delays. */
const SECOND_MS = 10;

const EVENTS = ['id: 1\ndata: {"a":"ä"}\n\n', 'id: 2\ndata: "b"\n\n', 'id: 3\ndata: c\n\n'];
const ALL = [{ a: 'ä' }, 'b', 'c'];
const WHOLE = Buffer.from(`retry: 1\n:heartbeat 15000\n${EVENTS.join('')}`);
const resume = resuming(EVENTS);
/** The beginning of all events, which stays open. */
function bytes(length: number): Answer {
  return (response, request) => {
    stream()(response, request);
    response.write(WHOLE.subarray(0, length));
  };
}
/** Two events, and a part of the third, without an end. */
const part = bytes(WHOLE.length - 1);

let script: string;
let context: BrowserContext;
const proxies: Proxy[] = [];
beforeAll(async () => {
  script = await clientScript();
  context = await launchChromium();
});
afterEach(async () => {
  for (const proxy of proxies.splice(0)) proxy.close();
  await Promise.all(context.pages().map((page) => page.close()));
});
afterAll(() => context.browser()!.close());

const open = (url: string) => ClientPage.open(context, script, url);
/** A page with a source of the server's feed. */
async function connected(server: ScriptedServer, options = '{}', secondMs = SECOND_MS) {
  const page = await open(server.page);
  await page.connect(server.url, secondMs, options);
  return page;
}
/**
 * Breaks the connections once the page has some events. A browser drops those that it has not passed to the page when it finds the
 * connection broken; they are requested again.
 */
async function breakAfter(count: number, page: ClientPage, server: ScriptedServer) {
  await page.has(count);
  await until(() => server.open.size > 0);
  for (const response of server.open) response.destroy();
}
/** A page whose requests go through a proxy. */
async function behindProxy(server: ScriptedServer, secondMs: number) {
  const proxy = await Proxy.start(server.port, await freePort());
  proxies.push(proxy);
  const url = (path: string) => new URL(path, proxy.url.replace('redis', 'http')).href;
  const page = await open(url('/page'));
  await page.connect(url('/feed'), secondMs);
  return { page, proxy };
}

describe('In Chromium, a source resumes with each event once', () => {
  it('where the connection breaks after any byte', async () => {
    const server = await ScriptedServer.start(resume);
    const page = await open(server.page);
    for (let length = 0; length < WHOLE.length; length++) {
      server.answers = [bytes(length), resume];
      await page.connect(server.url, SECOND_MS);
      const complete = WHOLE.subarray(0, length).toString().split('\n\n').length - 1;
      await breakAfter(complete, page, server);
      const { got } = await page.has(3);
      const ids = server.ids.slice(-2);
      expect([length, got, ids]).toEqual([length, ALL, ['-', complete ? `${complete}` : '-']]);
      await page.page.evaluate('source.close()');
      await until(() => server.open.size === 0);
    }
    expect(server.requests).toHaveLength(2 * WHOLE.length);
  });

  it('while a proxy answers 502 for 3 s during a deploy, and not at once after each answer', async () => {
    const secondMs = 100;
    let since: number | undefined;
    const server = await ScriptedServer.start(part, (response, request) => {
      since ??= performance.now();
      (performance.now() - since < 3_000 ? status(502) : resume)(response, request);
    });
    const page = await connected(server, '{}', secondMs);
    await breakAfter(2, page, server);
    const { got, states } = await page.has(3);
    expect(got).toEqual(ALL);
    expect(states.slice(0, 5)).toEqual([
      'open',
      'waiting TypeError',
      'connecting TypeError',
      'waiting 502',
      'connecting 502',
    ]);
    expect(states.at(-1)).toBe('open');
    expect(new Set(server.ids.slice(1))).toEqual(new Set(['2']));
    // At first 1 to 2 s, of which the server has set the fixed part to 1 ms. Then the delay grows to 30 s.
    expect(server.requests.length).toBeGreaterThan(3);
    expect(server.requests.length).toBeLessThan(20);
  });

  it('where the server refuses connections, and accepts them later', async () => {
    const server = await ScriptedServer.start(part, resume);
    const { page, proxy } = await behindProxy(server, SECOND_MS);
    await breakAfter(2, page, server);
    expect((await page.has(3)).got).toEqual(ALL);
    const port = Number(new URL(proxy.url).port);
    proxy.close();
    const { states } = await until(
      () => page.seen(),
      (seen) => seen.states.filter((state) => state === 'waiting TypeError').length > 3,
    );
    expect(states.at(-1)).toContain('TypeError');
    proxies.push(await Proxy.start(server.port, port));
    await page.is('open');
    expect(server.ids).toEqual(['-', '2', '3']);
  });

  it('after the longer one of Retry-After and the reconnection time', async () => {
    const server = await ScriptedServer.start(part, status(429, { 'retry-after': '1' }), resume);
    const page = await connected(server);
    await breakAfter(2, page, server);
    expect((await page.has(3)).states).toContain('waiting 429');
    expect(server.gaps[1]).toBeGreaterThan(990);
    expect(server.ids).toEqual(['-', '2', '2']);
  });

  it('where a proxy swallows the bytes of the server', async () => {
    const server = await ScriptedServer.start(stream(`retry: 1\n:heartbeat 200\n${EVENTS[0]}`), resume);
    const { page, proxy } = await behindProxy(server, SECOND_MS);
    await page.has(1);
    proxy.dropDown = true;
    await until(() => server.requests.length > 1);
    proxy.dropDown = false;
    proxy.cut();
    const { got, states } = await page.has(3);
    expect(got).toEqual(ALL);
    expect(states.slice(0, 2)).toEqual(['open', 'waiting Error']);
    expect(new Set(server.ids)).toEqual(new Set(['-', '1']));
  });

  it('through redirects to the same origin, and to another one that CORS allows', async () => {
    let allowed = {};
    const target = await ScriptedServer.start((response, request) => {
      const isPreflight = request.method === 'OPTIONS';
      for (const [name, value] of Object.entries(allowed)) response.setHeader(name, value as string);
      (isPreflight ? status(204) : request.headers['last-event-id'] ? resume : part)(response, request);
    });
    const server = await ScriptedServer.start((response, request) => {
      const location = request.url === '/feed' ? '/moved' : target.url;
      status(307, { location })(response, request);
    });
    const page = await connected(server);
    // A refusal is a network error for a page.
    await until(
      async () => (await page.seen()).states.filter((state) => state === 'waiting TypeError').length > 2,
    );
    allowed = {
      'access-control-allow-origin': new URL(server.url).origin,
      'access-control-allow-headers': 'last-event-id',
    };
    await breakAfter(2, page, target);
    expect((await page.has(3)).got).toEqual(ALL);
    expect(server.requests.at(-1)).toMatchObject({ url: '/moved', headers: { 'last-event-id': '2' } });
    expect(target.ids.at(-1)).toBe('2');
  });

  it('with a fresh token after 401, and fails where that is refused, too', async () => {
    const guard: Answer = (response, request) =>
      (request.headers.authorization === 'fresh' ? resume : status(401))(response, request);
    const server = await ScriptedServer.start(guard);
    const headers = `{ headers: async () => ({ authorization: source.error ? 'fresh' : 'stale' }) }`;
    const page = await connected(server, headers);
    expect(await page.has(3)).toMatchObject({ got: ALL, states: ['waiting 401', 'connecting 401', 'open'] });
    server.answers = [status(403)];
    for (const response of server.open) response.destroy();
    const { states } = await page.is('failed');
    expect(states.slice(-3)).toEqual(['waiting 403', 'connecting 403', 'failed 403']);
    expect(server.ids).toEqual(['-', '-', '3', '3']);
  });

  it('from its snapshot, and from another one after a reset', async () => {
    const reset =
      'id: 15\nevent: sse.reset\ndata: {"reason":"lost"}\n\nid: 16\ndata: before the snapshot\n\n';
    const server = await ScriptedServer.start(stream(reset), stream('id: 21\ndata: after it\n\n'));
    const snapshot = `{ snapshot: async () => ({ lastEventId: String(globalThis.loaded = 10 + (globalThis.loaded ?? 0)) }) }`;
    const page = await connected(server, snapshot);
    expect((await page.has(1)).got).toEqual(['after it']);
    expect(server.ids).toEqual(['10', '20']);
  });
});

describe('In Chromium, a source makes no further attempt', () => {
  it.each<[after: string, answer: Answer, state: 'ended' | 'failed', requests: number]>([
    ['204', status(204), 'ended', 1],
    ['sse.end', stream('event: sse.end\ndata: {}\n\n'), 'ended', 1],
    ['404', status(404), 'failed', 1],
    ['five pages with status 200', html, 'failed', 5],
  ])('after %s', async (_, answer, state, requests) => {
    const server = await ScriptedServer.start(answer);
    const page = await connected(server);
    await page.is(state);
    await until(() => server.open.size === 0);
    expect(server.requests).toHaveLength(requests);
    // Between two of the pages.
    for (const gap of server.gaps) expect(gap).toBeGreaterThan(30 * SECOND_MS - 10);
  });

  it('before the longest delay after a page with status 200, however often it is shown', async () => {
    const server = await ScriptedServer.start(html, stream());
    const page = await connected(server, '{}', 100);
    await page.is('waiting');
    for (let n = 0; n < 6; n++) await page.page.evaluate(`dispatchEvent(new Event('pageshow'))`);
    await page.is('open');
    expect(server.gaps[0]).toBeGreaterThan(2_990);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { build, stop } from 'esbuild';
import type { BrowserContext, Page } from 'playwright-core';
import { closePages, launchChromium } from './support/chromium.js';
import { Proxy } from './support/proxy.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Sample } from './support/sample.js';
import { type Answer, ScriptedServer, status, stream } from './support/scripted-server.js';
import { until } from './support/until.js';

const PAGE = '<!doctype html><link rel="icon" href="data:,">';
/** Serves an empty page beside the feed. */
const withPage =
  (feed: Answer): Answer =>
  (response, request) =>
    (request.url!.startsWith('/feed') ? feed : status(200, { 'content-type': 'text/html' }, PAGE))(
      response,
      request,
    );
/** The requests of the feed, by method and last event id. */
const feedRequests = ({ requests }: ScriptedServer) => requests.filter(({ url }) => url.startsWith('/feed'));

describe('The client in Chromium', () => {
  let script: string;
  let context: BrowserContext;
  const proxies: Proxy[] = [];
  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: ['src/client/index.ts'],
      bundle: true,
      format: 'iife',
      globalName: 'client',
      write: false,
    });
    script = outputFiles[0]!.text;
    await stop();
    // Playwright disables the back/forward cache.
    context = await launchChromium({}, { ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  });
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) proxy.close();
    await context.setOffline(false);
    await closePages(context);
  });
  afterAll(() => context.browser()!.close());

  /** A page that connects to a URL, and collects what it gets. */
  const connected = async (origin: string, url: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(origin);
    await page.addScriptTag({ content: script });
    await page.evaluate(`
      globalThis.got = [];
      globalThis.states = [];
      globalThis.source = client.connect(${JSON.stringify(url)});
      source.on('message', (data, { id }) => got.push(data));
      source.on('sse.state', (state) => states.push(state));
    `);
    return page;
  };
  const state = (page: Page, expected: string) =>
    until(
      () => page.evaluate<string>('source.state'),
      (value) => value === expected,
    );
  const got = (page: Page) => page.evaluate<unknown[]>('got');

  it('waits while CORS refuses it, and resumes once the server allows it', async () => {
    const site = await ScriptedServer.start(withPage(status(404)));
    let allowed = {};
    let count = 0;
    const methods: string[] = [];
    const server = await ScriptedServer.start((response, request) => {
      methods.push(request.method!);
      for (const [name, value] of Object.entries(allowed)) response.setHeader(name, value as string);
      if (request.method === 'OPTIONS') return response.writeHead(204).end();
      count++;
      stream(`retry: 10\nid: ${count}\ndata: ${count}\n\n`)(response, request);
    });
    const page = await connected(site.url.replace('/feed', '/'), server.url);
    await state(page, 'waiting');
    expect(await page.evaluate('source.error.name')).toBe('TypeError');
    const origin = new URL(site.url).origin;
    allowed = { 'access-control-allow-origin': origin };
    await state(page, 'open');
    const first = count;
    expect(await got(page)).toEqual([first]);
    // The header with the last event id needs its own permission.
    for (const response of server.open) response.destroy();
    await until(() => methods.includes('OPTIONS'));
    await state(page, 'waiting');
    allowed = { ...allowed, 'access-control-allow-headers': 'last-event-id' };
    await state(page, 'open');
    expect(server.ids.at(-1)).toBe(`${first}`);
    expect(await got(page)).toEqual([first, count]);
  });

  it('reconnects at once when the browser is online again', async () => {
    // Without the event, it would wait for ten minutes.
    const server = await ScriptedServer.start(withPage(stream('retry: 600000\nid: 1\ndata: 1\n\n')));
    const page = await connected(new URL('/', server.url).href, '/feed');
    await until(async () => (await got(page)).length === 1);
    await context.setOffline(true);
    for (const response of server.open) response.destroy();
    await state(page, 'waiting');
    expect(feedRequests(server)).toHaveLength(1);
    await context.setOffline(false);
    await until(async () => (await got(page)).length === 2);
    expect(feedRequests(server).map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1']);
  });

  it('closes its connection in the back/forward cache, and resumes when the page is shown again', async () => {
    const server = await ScriptedServer.start(withPage(stream('retry: 600000\nid: 1\ndata: 1\n\n')));
    const page = await connected(new URL('/', server.url).href, '/feed');
    await until(async () => (await got(page)).length === 1);
    await page.evaluate(
      `addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted))`,
    );
    await page.goto(new URL('/other', server.url).href);
    await until(() => server.open.size === 0);
    await page.goBack({ waitUntil: 'commit' });
    // The same page, with its variables.
    expect(await page.evaluate('persisted')).toBe(true);
    await until(async () => (await got(page)).length === 2);
    expect(await page.evaluate('states.join()')).toBe('open,waiting,connecting,open');
    expect(feedRequests(server).map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1']);
  });

  it('resumes on another node after a time without any, with every event once', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const [first, second] = await Promise.all([Sample.start(env), Sample.start(env)]);
    const proxy = await Proxy.start(Number(new URL(first.url).port));
    proxies.push(proxy);
    const origin = proxy.url.replace(/^redis(.*)\/0$/, 'http$1');
    const page = await connected(`${origin}/health`, '/channel?channel=news');
    await state(page, 'open');
    const publish = (data: string) => second.publish({ data, channel: 'news', retry: 100 });
    await publish('before');
    await until(async () => (await got(page)).length === 1);
    proxy.refuse = true;
    await first.signal('SIGTERM');
    await state(page, 'waiting');
    for (const n of [1, 2, 3]) await publish(`missed ${n}`);
    await until(async () => (await page.evaluate<string[]>('states')).length > 4);
    proxy.target = Number(new URL(second.url).port);
    proxy.refuse = false;
    await until(async () => (await got(page)).length >= 4);
    await publish('then');
    await until(async () => (await got(page)).length >= 5);
    expect(await got(page)).toEqual(['before', 'missed 1', 'missed 2', 'missed 3', 'then']);
  });

  it('reports what a listener throws as the browser does, and ends by close()', async () => {
    const server = await ScriptedServer.start(withPage(stream('data: 1\n\n')));
    const page = await connected(new URL('/', server.url).href, '/feed');
    const errors: string[] = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    await page.evaluate(`source.on('sse.state', () => { throw new Error('in a listener'); })`);
    for (const response of server.open) response.destroy();
    await until(() => errors.includes('in a listener'));
    await page.evaluate('source.close()');
    expect(await page.evaluate('source.state')).toBe('ended');
    await until(() => server.open.size === 0);
  });
});

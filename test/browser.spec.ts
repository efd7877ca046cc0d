import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { closePages, launchChromium } from './support/chromium.js';
import { closeClients, connect } from './support/client.js';
import { runCli } from './support/cli.js';
import { freePort } from './support/port.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

/** The routes that the page can connect to. */
const ROUTES = ['channel', 'sse'];

/** The page of the sample, in a real browser. */
describe('The page in Chromium', () => {
  let context: BrowserContext;
  /** In memory, for tests that need one sample and do not restart it. */
  let sample: Sample;

  beforeAll(async () => {
    [context, sample] = await Promise.all([launchChromium(), Sample.startShared()]);
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  const open = async (url: string, script?: string) => {
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    page.setDefaultTimeout(60_000);
    if (script) await page.addInitScript(script);
    await page.goto(url);
    const texts = () => page.locator('#events li .data').allTextContents();
    return {
      page,
      problems,
      texts,
      state: (expected: string) => page.locator(`#connection[data-state=${expected}]`).waitFor(),
      event: (text: string, kind = '') => page.locator(`#events li${kind}`, { hasText: text }).first(),
      publish: async (fields: Record<string, string>) => {
        for (const [name, value] of Object.entries(fields)) await page.fill(`#publish [name=${name}]`, value);
        await page.click('#publish button');
      },
      listen: async (route: string, channel: string) => {
        await page.selectOption('#route', route);
        await page.fill('#channel', channel);
        await page.click('#listen button');
        await page.locator('#connection[data-state=open]').waitFor();
      },
    };
  };
  type SamplePage = Awaited<ReturnType<typeof open>>;

  /** A page for each route, connected to the channel through it. */
  const listening = async (url: string, channel: string) => {
    const all = await Promise.all(ROUTES.map(() => open(url)));
    await Promise.all(all.map(({ listen }, n) => listen(ROUTES[n]!, channel)));
    return all;
  };
  /** With @Sse the response headers do not wait for the subscription. */
  const warmUp = (all: SamplePage[], publish: () => Promise<unknown>) =>
    until(async () => {
      await publish();
      return (await Promise.all(all.map(({ event }) => event('warm').isVisible()))).every(Boolean);
    });
  const shown = (all: SamplePage[], text: string, kind = '') =>
    Promise.all(all.map(({ event }) => event(text, kind).waitFor()));

  it('shows events, with and without a type, from the page, a service and the command line', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const publisher = await Sample.start(env);
    const all = await listening(publisher.url, 'news');
    await warmUp(all, () => publisher.publish({ data: 'warm', channel: 'news' }));
    await all[0]!.publish({ data: '{"code":"ACK"}', type: '', id: '' });
    await shown(all, '{"code":"ACK"}');
    await all[1]!.publish({ data: 'a cool message', type: 'cool', id: '12345', retry: '6000' });
    await shown(all, 'a cool message', '.typed');
    expect(await all[1]!.page.textContent('#answer')).toBe('Published as 12345');
    for (const { page } of all) expect(await page.textContent('#last-event-id')).toBe('12345');
    await publisher.publish({ data: 'from a service', channel: 'news' });
    await shown(all, 'from a service');
    await runCli('sse publish --channel news --type cool', '"from a shell"', env);
    await shown(all, 'from a shell', '.typed');
    await publisher.publish({ data: 'not for us', channel: 'other' });
    await publisher.publish({ data: 'last', channel: 'news' });
    await shown(all, 'last');
    for (const { event, problems } of all) {
      expect(await event('not for us').count()).toBe(0);
      expect(problems).toEqual([]);
    }
  });

  it('drops the connection, and shows the missed events after it reconnects', async () => {
    for (const route of ROUTES) {
      const { page, listen, event, texts, problems } = await open(sample.url);
      await listen(route, route);
      await until(
        async () => (await sample.publish({ data: 'warm', channel: route }), event('warm').isVisible()),
      );
      await page.click('#drop');
      for (const n of [1, 2, 3]) await event(`missed ${n} of 3`, '.missed').waitFor();
      expect(await page.textContent('#dropped')).toBe('Back: 3 of the 3 missed events have come.');
      await sample.publish({ data: 'then', channel: route });
      await event('then').waitFor();
      expect((await texts()).slice(0, 4)).toEqual(
        ['then', 'missed 3', 'missed 2', 'missed 1'].map((text) => expect.stringContaining(text)),
      );
      expect(await event('"reason"').count()).toBe(0);
      expect(problems).toEqual([]);
      await page.close();
    }
  });

  it('gets missed events after a restart of its server, by the browser’s own Last-Event-ID', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const port = `${await freePort()}`;
    const [first, other] = await Promise.all([Sample.start({ ...env, PORT: port }), Sample.start(env)]);
    const all = await listening(first.url, 'sse');
    await warmUp(all, () => other.publish({ data: 'warm', retry: 100 }));
    await first.signal('SIGTERM');
    await Promise.all(all.map(({ state }) => state('connecting')));
    for (const n of [1, 2, 3]) await other.publish({ data: `missed ${n}` });
    await Sample.start({ ...env, PORT: port });
    await shown(all, 'missed 3');
    await other.publish({ data: 'then' });
    await shown(all, 'then');
    for (const { texts, event, problems } of all) {
      expect((await texts()).slice(0, 4)).toEqual(['then', 'missed 3', 'missed 2', 'missed 1']);
      expect(await event('"reason"').count()).toBe(0);
      expect(problems).toEqual([]);
    }
  });

  it('reconnects after the server has restarted', async () => {
    const env = { PORT: `${await freePort()}` };
    const first = await Sample.start(env);
    const all = await listening(first.url, 'sse');
    await first.publish({ data: 'before', retry: 100 });
    await shown(all, 'before');
    await first.signal('SIGTERM');
    await Promise.all(all.map(({ state }) => state('connecting')));
    const second = await Sample.start(env);
    await Promise.all(all.map(({ state }) => state('open')));
    // The page shows that the new process does not know the position.
    await shown(all, '"reason":"lost"', '.control');
    await second.publish({ data: 'after' });
    await shown(all, 'after');
    for (const { problems } of all) expect(problems).toEqual([]);
  });

  it('switches channels, and shows why a publish was refused', async () => {
    const { page, state, event, publish } = await open(sample.url);
    await state('open');
    await page.fill('#channel', 'one two');
    await page.click('#listen button');
    await event('{"channel":["one","two"]}', '.control').waitFor();
    expect(await page.textContent('#url')).toBe('/channel?channel=one&channel=two');
    expect(await page.inputValue('#to')).toBe('one');
    await publish({ data: 'x', type: 'error' });
    await until(async () => (await page.textContent('#answer'))?.includes('400: Expected `type`'));
    await page.fill('#channel', '{}');
    await page.click('#listen button');
    await state('closed');
  });

  it('shows the current metrics of all processes, and removes a process that has ended', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const [one, two] = await Promise.all([Sample.start(env), Sample.start(env)]);
    const { page, state, problems } = await open(one.url);
    await state('open');
    const metric = (id: string) => page.textContent(`#${id}`);
    // The page's own two connections.
    await until(
      () => metric('connections'),
      (text) => text === '2',
    );
    for (const url of [two.url, two.url]) await connect(`${url}/channel?channel=news`);
    await until(async () => [await metric('connections'), await metric('channels')].join() === '4,3');
    let bursts = 0;
    // On a busy machine a burst may fall into two seconds.
    await until(async () => {
      bursts++;
      await Promise.all(Array.from({ length: 30 }, (_, n) => one.publish({ data: n, channel: 'news' })));
      const settled = Date.now() + 3_000;
      await until(async () => Date.now() > settled || Number(await metric('peak')) >= 20);
      return Number(await metric('peak')) >= 20;
    });
    const line = (await page.getAttribute('#chart polyline', 'points'))!.split(' ');
    const high = line.filter((point) => Number(point.split(',')[1]) < 0.5);
    expect(line).toHaveLength(60);
    expect(high.length).toBeGreaterThan(0);
    expect(high.length).toBeLessThan(5 * bursts);
    await two.signal('SIGTERM');
    await until(
      () => metric('connections'),
      (text) => text === '2',
    );
    // The list of the channel `sse` contains only `sse.open`.
    expect(await page.locator('#events li').count()).toBe(1);
    closeClients();
    expect(problems).toEqual([]);
  });

  it('shows any data as text', async () => {
    const { page, state, event } = await open(sample.url);
    await state('open');
    await sample.publish({ data: '<img src=x onerror="document.title=1">\nsecond line' });
    await event('<img src=x').waitFor();
    expect(await page.locator('#events img').count()).toBe(0);
    expect(await page.title()).toBe('Server-sent events');
  });

  it('reports that EventSource is missing', async () => {
    const { page } = await open(sample.url, 'delete window.EventSource');
    expect(await page.locator('#unsupported').isVisible()).toBe(true);
    expect(await page.locator('#unsupported').textContent()).toContain('cannot receive server-sent events');
  });

  it('sends the session cookie, reads the record as its owner allows, and is refused after the logout', async () => {
    const { page } = await open(sample.url);
    await page.evaluate(`
      globalThis.send = async (method, path, body) => {
        const headers = { 'content-type': 'application/json' };
        return (await fetch(path, { method, headers, body: body && JSON.stringify(body) })).status;
      };
      globalThis.listen = (path) => new Promise((resolve) => {
        globalThis.stream = new EventSource(path);
        stream.addEventListener('sse.open', () => resolve('open'));
        stream.onerror = () => resolve(stream.readyState === EventSource.CLOSED ? 'closed' : 'waiting');
      });
    `);
    expect(await page.evaluate(`listen('/records/7/sse')`)).toBe('closed');
    expect(await page.evaluate(`send('POST', '/login', { user: 'ann' })`)).toBe(204);
    expect(await page.evaluate(`send('PUT', '/records/7', { title: 'one' })`)).toBe(200);
    expect(await page.evaluate(`listen('/records/7/sse')`)).toBe('open');
    expect(await page.evaluate(`document.cookie`)).toBe('');
    const waiting = page.evaluate(
      `new Promise((resolve) => (stream.onerror = () => resolve(stream.readyState)))`,
    );
    expect(await page.evaluate(`send('POST', '/logout')`)).toBe(204);
    // The client is alive, and has received a reconnection time.
    expect(await waiting).toBe(0);
    expect(await page.evaluate(`listen('/records/7/sse')`)).toBe('closed');
  });
});

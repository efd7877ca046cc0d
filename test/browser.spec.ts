import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { closePages, launchChromium } from './support/chromium.js';
import { closeClients, connect } from './support/client.js';
import { runCli } from './support/cli.js';
import { freePort } from './support/port.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Sample } from './support/sample.js';
import { SamplePage } from './support/sample-page.js';
import { until } from './support/until.js';

/** The routes through which a client of the page can read. */
const ROUTES = ['channel', 'sse'];

describe('The page in Chromium', () => {
  let context: BrowserContext;
  /** In memory, for tests that need one sample and do not restart it. */
  let sample: Sample;

  beforeAll(async () => {
    [context, sample] = await Promise.all([launchChromium(), Sample.startShared()]);
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  /** A page for each route, whose first client reads the channel through it. */
  const listening = async (url: string, channel: string) => {
    const all = await Promise.all(ROUTES.map(() => SamplePage.open(context, url)));
    await Promise.all(all.map(({ a }, n) => a.subscribe(ROUTES[n]!, channel)));
    return all;
  };
  /** With @Sse, the response headers do not wait for the subscription. */
  const warmUp = (all: SamplePage[], publish: () => Promise<unknown>) =>
    until(async () => {
      await publish();
      return (await Promise.all(all.map(({ a }) => a.event('warm').isVisible()))).every(Boolean);
    });
  const shown = (all: SamplePage[], text: string, kind = '') =>
    Promise.all(all.map(({ a }) => a.event(text, kind).waitFor()));

  it('shows what is published, typed and untyped, from the page, a service and the command line', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const publisher = await Sample.start(env);
    const all = await listening(publisher.url, 'news');
    await warmUp(all, () => publisher.publish({ data: 'warm', channel: 'news' }));
    await all[0]!.publish({ data: '{"code":"ACK"}', type: '', id: '' });
    await shown(all, '{"code":"ACK"}');
    await all[1]!.publish({ data: 'a cool message', type: 'cool', id: '12345', retry: '6000' });
    await shown(all, 'a cool message', '.typed');
    expect(await all[1]!.page.textContent('#answer')).toBe('Published as 12345');
    await publisher.publish({ data: 'from a service', channel: 'news' });
    await shown(all, 'from a service');
    await runCli('sse publish --channel news --type cool', '"from a shell"', env);
    await shown(all, 'from a shell', '.typed');
    await publisher.publish({ data: 'not for us', channel: 'other' });
    await publisher.publish({ data: 'last', channel: 'news' });
    await shown(all, 'last');
    for (const { a, problems } of all) {
      expect(await a.event('not for us').count()).toBe(0);
      expect(problems).toEqual([]);
    }
  });

  it.each(ROUTES)(
    'resumes at /%s after its server restarted, by the Last-Event-ID of its EventSource',
    async (route) => {
      const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
      const port = `${await freePort()}`;
      const [first, other] = await Promise.all([Sample.start({ ...env, PORT: port }), Sample.start(env)]);
      const { page } = await SamplePage.open(context, first.url);
      await page.evaluate(`
      globalThis.texts = [];
      globalThis.source = new EventSource('/${route}?channel=news');
      source.onmessage = ({ data }) => texts.push(data);
      source.addEventListener('sse.reset', ({ data }) => texts.push(data));
    `);
      const texts = () => page.evaluate<string[]>('texts');
      const publish = (data: string, retry?: number) => other.publish({ data, channel: 'news', retry });
      await until(async () => (await publish('warm', 100), (await texts()).includes('warm')));
      await first.signal('SIGTERM');
      await until(
        () => page.evaluate('source.readyState'),
        (state) => state === 0,
      );
      for (const n of [1, 2, 3]) await publish(`missed ${n}`);
      await Sample.start({ ...env, PORT: port });
      await until(async () => (await texts()).includes('missed 3'));
      await publish('then');
      await until(async () => (await texts()).includes('then'));
      const all = await texts();
      expect(all.slice(all.indexOf('missed 1'))).toEqual(['missed 1', 'missed 2', 'missed 3', 'then']);
      expect(new Set(all.slice(0, all.indexOf('missed 1')))).toEqual(new Set(['warm']));
    },
  );

  it('reconnects after the server restarted, and reports what a new process cannot know', async () => {
    const env = { PORT: `${await freePort()}` };
    const first = await Sample.start(env);
    const all = await listening(first.url, 'sse');
    await first.publish({ data: 'before', retry: 100 });
    await shown(all, 'before');
    await first.signal('SIGTERM');
    await Promise.all(all.map(({ a }) => a.state('waiting')));
    const second = await Sample.start(env);
    await Promise.all(all.map(({ a }) => a.state('open')));
    await shown(all, '"reason":"lost"', '.gap');
    await second.publish({ data: 'after' });
    await shown(all, 'after');
    for (const { problems } of all) expect(problems).toEqual([]);
  });

  it('switches channels, and shows why a request was refused', async () => {
    const opened = await SamplePage.open(context, sample.url);
    const { page, a } = opened;
    await a.state('open');
    await a.subscribe('channel', 'one two');
    await a.event('{"channel":["one","two","stats"]}', '.control').waitFor();
    expect(await a.text('.url')).toBe('/channel?channel=one&channel=two&channel=stats');
    await opened.publish({ data: 'x', type: 'error' });
    await until(async () =>
      (await page.textContent('#answer'))?.includes('400 Bad Request: Expected `type`'),
    );
    await a.root.locator('[name=channel]').fill('{}');
    await a.click('.subscription button');
    await a.state('refused');
    expect(await a.text('.state')).toBe('Refused: 400');
  });

  it('shows the metrics of all nodes, as they change, and forgets a node that has ended', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const [one, two] = await Promise.all([Sample.start(env), Sample.start(env)]);
    const { page, a, b, problems } = await SamplePage.open(context, one.url);
    await Promise.all([a.state('open'), b.state('open')]);
    const metric = (id: string) => page.textContent(`#${id}`);
    // One on each node.
    await until(
      () => metric('connections'),
      (text) => text === '2',
    );
    for (const url of [two.url, two.url]) await connect(`${url}/channel?channel=news`);
    await until(async () => [await metric('connections'), await metric('channels')].join() === '4,5');
    let bursts = 0;
    // On a busy machine the events of a burst may count for two seconds.
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
      (text) => text === '1',
    );
    // The metrics are no events of the channel `sse`.
    expect(await a.texts()).toEqual(['{"channel":["sse","stats"]}']);
    closeClients();
    expect(problems).toEqual([]);
  });

  it('shows data as text, whatever it holds', async () => {
    const { page, a } = await SamplePage.open(context, sample.url);
    await a.state('open');
    await sample.publish({ data: '<img src=x onerror="document.title=1">\nsecond line' });
    await a.event('<img src=x').waitFor();
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.title()).toBe('Server-sent events');
  });

  it('reads a record with the cookie of its EventSource, and is refused after the logout', async () => {
    const { page } = await SamplePage.open(context, sample.url);
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
    // It reconnects when the server has told it to.
    expect(await waiting).toBe(0);
    expect(await page.evaluate(`listen('/records/7/sse')`)).toBe('closed');
  });
});

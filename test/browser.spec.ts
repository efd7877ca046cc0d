import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.js';
import { closeClients, connect } from './support/client.js';
import { runCli } from './support/cli.js';
import { freePort } from './support/port.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

/** The page, in the browser people have. */
describe('The page in Chromium', () => {
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterEach(() => page.close());
  afterAll(() => browser.close());

  const open = async (url: string) => {
    page = await browser.newPage();
    problems.length = 0;
    page.on('pageerror', ({ message }) => problems.push(message));
    page.setDefaultTimeout(60_000);
    await page.goto(url);
    return page;
  };
  const state = (expected: string) => page.locator(`#connection[data-state=${expected}]`).waitFor();
  const event = (text: string, kind = '') => page.locator(`#events li${kind}`, { hasText: text }).first();
  const publish = async (fields: Record<string, string>) => {
    for (const [name, value] of Object.entries(fields)) await page.fill(`#publish [name=${name}]`, value);
    await page.click('#publish button');
  };

  describe.each(['channel', 'sse'])('through /%s', (route) => {
    const listen = async (channel: string) => {
      await page.selectOption('#route', route);
      await page.fill('#channel', channel);
      await page.click('#listen button');
      await state('open');
    };

    it('shows what is published, typed and untyped, from the page, a service and the command line', async () => {
      const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
      const sample = await Sample.start(env);
      await open(sample.url);
      await listen('news');
      // Under @Sse the head does not wait for the subscription.
      await until(
        async () => (await sample.publish({ data: 'warm', channel: 'news' }), event('warm').isVisible()),
      );
      await publish({ data: '{"code":"ACK"}', type: '', id: '' });
      await event('{"code":"ACK"}').waitFor();
      await publish({ data: 'a cool message', type: 'cool', id: '12345', retry: '6000' });
      await event('a cool message', '.typed').waitFor();
      expect(await page.textContent('#last-event-id')).toBe('12345');
      expect(await page.textContent('#answer')).toBe('Published as 12345');
      await sample.publish({ data: 'from a service', channel: 'news' });
      await event('from a service').waitFor();
      await runCli('sse publish --channel news --type cool', '"from a shell"', env);
      await event('from a shell', '.typed').waitFor();
      await sample.publish({ data: 'not for us', channel: 'other' });
      await sample.publish({ data: 'last', channel: 'news' });
      await event('last').waitFor();
      expect(await event('not for us').count()).toBe(0);
      expect(problems).toEqual([]);
    });

    it('drops the connection, and shows what was published meanwhile', async () => {
      const sample = await Sample.start();
      await open(sample.url);
      await listen('news');
      await until(
        async () => (await sample.publish({ data: 'warm', channel: 'news' }), event('warm').isVisible()),
      );
      await page.click('#drop');
      for (const n of [1, 2, 3]) await event(`missed ${n} of 3`, '.missed').waitFor();
      expect(await page.textContent('#dropped')).toBe('Back: 3 of the 3 missed events have come.');
      await sample.publish({ data: 'then', channel: 'news' });
      await event('then').waitFor();
      const texts = (await page.locator('#events li .data').allTextContents()).slice(0, 4);
      expect(texts).toEqual(
        ['then', 'missed 3', 'missed 2', 'missed 1'].map((text) => expect.stringContaining(text)),
      );
      expect(await event('"reason"').count()).toBe(0);
      expect(problems).toEqual([]);
    });

    it('gets what it missed while its server restarted, by the browser’s own Last-Event-ID', async () => {
      const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
      const port = `${await freePort()}`;
      const [first, other] = [await Sample.start({ ...env, PORT: port }), await Sample.start(env)];
      await open(first.url);
      await listen('sse');
      await until(async () => (await other.publish({ data: 'warm', retry: 100 }), event('warm').isVisible()));
      await first.signal('SIGTERM');
      await state('connecting');
      for (const n of [1, 2, 3]) await other.publish({ data: `missed ${n}` });
      await Sample.start({ ...env, PORT: port });
      await event('missed 3').waitFor();
      await other.publish({ data: 'then' });
      await event('then').waitFor();
      const texts = (await page.locator('#events li .data').allTextContents()).slice(0, 4);
      expect(texts).toEqual(['then', 'missed 3', 'missed 2', 'missed 1']);
      expect(await event('"reason"').count()).toBe(0);
      expect(problems).toEqual([]);
    });

    it('comes back after the server has restarted', async () => {
      const env = { PORT: `${await freePort()}` };
      const first = await Sample.start(env);
      await open(first.url);
      await listen('sse');
      await first.publish({ data: 'before', retry: 100 });
      await event('before').waitFor();
      await first.signal('SIGTERM');
      await state('connecting');
      const second = await Sample.start(env);
      await state('open');
      // What the new process has never known is said, not hidden.
      await event('"reason":"lost"', '.control').waitFor();
      await second.publish({ data: 'after' });
      await event('after').waitFor();
      expect(problems).toEqual([]);
    });
  });

  it('switches channels, and shows why a publish was refused', async () => {
    const sample = await Sample.start();
    await open(sample.url);
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

  it('shows figures of all processes, as they change, and forgets a process that has ended', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const [one, two] = await Promise.all([Sample.start(env), Sample.start(env)]);
    await open(one.url);
    await state('open');
    const figure = (id: string) => page.textContent(`#${id}`);
    // Its own two streams.
    await until(
      () => figure('streams'),
      (text) => text === '2',
    );
    for (const url of [two.url, two.url]) await connect(`${url}/channel?channel=news`);
    await until(async () => [await figure('streams'), await figure('channels')].join() === '4,3');
    let bursts = 0;
    // On a busy machine the events of a burst may count for two seconds.
    await until(async () => {
      bursts++;
      await Promise.all(Array.from({ length: 30 }, (_, n) => one.publish({ data: n, channel: 'news' })));
      const settled = Date.now() + 3_000;
      await until(async () => Date.now() > settled || Number(await figure('peak')) >= 20);
      return Number(await figure('peak')) >= 20;
    });
    const line = (await page.getAttribute('#chart polyline', 'points'))!.split(' ');
    const high = line.filter((point) => Number(point.split(',')[1]) < 0.5);
    expect(line).toHaveLength(60);
    expect(high.length).toBeGreaterThan(0);
    expect(high.length).toBeLessThan(5 * bursts);
    await two.signal('SIGTERM');
    await until(
      () => figure('streams'),
      (text) => text === '2',
    );
    // Of all that, nothing but `sse.open` is in the list of the channel `sse`.
    expect(await page.locator('#events li').count()).toBe(1);
    closeClients();
    expect(problems).toEqual([]);
  });

  it('shows data as text, whatever it holds', async () => {
    const sample = await Sample.start();
    await open(sample.url);
    await state('open');
    await sample.publish({ data: '<img src=x onerror="document.title=1">\nsecond line' });
    await event('<img src=x').waitFor();
    expect(await page.locator('#events img').count()).toBe(0);
    expect(await page.title()).toBe('Server-sent events');
  });

  it('says so where EventSource is missing', async () => {
    const sample = await Sample.start();
    page = await browser.newPage();
    await page.addInitScript('delete window.EventSource');
    await page.goto(sample.url);
    expect(await page.locator('#unsupported').isVisible()).toBe(true);
    expect(await page.locator('#unsupported').textContent()).toContain('cannot receive server-sent events');
  });

  it('sends the cookie of who is logged in, whom the record lets read, and is kept out after the logout', async () => {
    const sample = await Sample.start();
    await open(sample.url);
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
    // It lives, and has been told when to come back.
    expect(await waiting).toBe(0);
    expect(await page.evaluate(`listen('/records/7/sse')`)).toBe('closed');
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Header, type INestApplication } from '@nestjs/common';
import { build, stop } from 'esbuild';
import { fromQuery, SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import type { BrowserContext, Page } from 'playwright-core';
import { platforms, startApp } from './support/app.js';
import { closePages, launchChromium } from './support/chromium.js';
import { Proxy } from './support/proxy.js';
import { until } from './support/until.js';

@Controller()
class FeedController {
  @SseChannel('feed', { channel: fromQuery, allow: /^[ab]$/ })
  feed() {}

  @Get('page')
  @Header('content-type', 'text/html')
  page() {
    return '<!doctype html><link rel="icon" href="data:,">';
  }
}

/** Tells which tab leads: the one that has the lock. */
const WATCH_LOCKS = `
  const request = navigator.locks?.request;
  if (request) navigator.locks.request = (name, options, hold) =>
    request.call(navigator.locks, name, options, () => {
      globalThis.leads = true;
      return hold();
    }).finally(() => (globalThis.leads = false));
`;

describe.each(platforms)('Tabs that share a connection to %s', (_, platform) => {
  let script: string;
  let context: BrowserContext;
  let app: INestApplication;
  let sse: SseService;
  let proxy: Proxy;
  let origin: string;
  const proxies: Proxy[] = [];

  beforeAll(async () => {
    const { outputFiles } = await build({
      stdin: {
        contents: `export * from './index.js'; export * from './tabs.js';`,
        resolveDir: 'dist/client',
      },
      bundle: true,
      format: 'iife',
      globalName: 'client',
      write: false,
    });
    script = outputFiles[0]!.text;
    await stop();
    context = await launchChromium({}, { ignoreDefaultArgs: ['--disable-back-forward-cache'] });
    await context.addInitScript(WATCH_LOCKS);
  });
  afterEach(async () => {
    await closePages(context);
    for (const each of proxies.splice(0)) each.close();
  });
  afterAll(() => context.browser()!.close());

  const start = async () => {
    const started = await startApp(platform, {
      imports: [SseModule.forRoot({ heartbeatMs: 1_000, retryMs: 1_000 })],
      controllers: [FeedController],
    });
    app = started.app;
    sse = app.get(SseService);
    proxy = await Proxy.start(Number(new URL(started.url).port));
    proxies.push(proxy);
    origin = proxy.url.replace(/^redis(.*)\/0$/, 'http$1');
  };
  const connections = () => sse.stats().connections;
  /** Resolves when all tabs share one connection. */
  const shared = () => until(connections, (count) => count === 1);

  const open = async ({ name = 'one', url = '/feed?channel=a', options = '' } = {}): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(`${origin}/page`);
    await page.addScriptTag({ content: script });
    await page.evaluate(`
      globalThis.got = [];
      globalThis.states = [];
      globalThis.source = client.connect('${url}', { share: client.tabs('${name}'), ${options} });
      source.on('message', (data) => got.push(data)).on('sse.state', (state) => states.push(state));
    `);
    await until(
      () => page.evaluate<string>('source.state'),
      (state) => state === 'open',
    );
    return page;
  };
  const openTabs = async (count: number) => {
    const pages: Page[] = [];
    for (let n = 0; n < count; n++) pages.push(await open());
    await shared();
    return pages;
  };
  /** Waits until exactly one tab leads. */
  const leaderOf = async (pages: readonly Page[]) => {
    const look = () => Promise.all(pages.map((page) => page.evaluate<boolean>('globalThis.leads === true')));
    const leads = await until(look, (seen) => seen.filter(Boolean).length === 1);
    return pages[leads.indexOf(true)]!;
  };

  let published = 0;
  const publish = async (count: number) => {
    for (let n = 0; n < count; n++) await sse.publish(published++, { channel: 'a' });
  };
  const numbers = (from: number) => Array.from({ length: published - from }, (__, n) => from + n);
  /** Publishes all the time, until `task` has ended. */
  const publishDuring = async (task: () => Promise<unknown>) => {
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) {
        await publish(1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await task().finally(() => (isOver = true));
    await publishing;
  };
  const gotAll = async (page: Page, from: number) => {
    await until(
      () => page.evaluate<number>('got.at(-1) ?? -1'),
      (last) => last >= published - 1,
    );
    expect(await page.evaluate('got')).toEqual(numbers(from));
  };
  /** Waits until a page has events that were published after now. @returns how long that took, in ms */
  const goesOn = async (page: Page) => {
    const since = performance.now();
    const from = published;
    await until(
      () => page.evaluate<number>('got.at(-1)'),
      (last) => last > from,
    );
    return performance.now() - since;
  };

  it('are twenty with one connection, and get every event once, in order', async () => {
    await start();
    const from = published;
    const pages = await openTabs(20);
    const { delivered } = sse.stats();
    await publish(500);
    for (const page of pages) await gotAll(page, from);
    expect([connections(), sse.stats().delivered - delivered]).toEqual([1, 500]);
  });

  it.each([
    ['is closed', (page: Page) => page.close()],
    ['leaves the page', (page: Page) => page.goto(`${origin}/page?other`)],
    ['closes its source', (page: Page) => page.evaluate('source.close()')],
    ['crashes', async (page: Page) => void page.goto('chrome://crash').catch(() => undefined)],
  ])('go on within 2 s where the leader %s, with every event once', async (__, leave) => {
    await start();
    const from = published;
    const pages = await openTabs(4);
    let left = pages;
    await publishDuring(async () => {
      for (let n = 0; n < 2; n++) {
        const leader = await leaderOf(left);
        left = left.filter((page) => page !== leader);
        await leave(leader);
        const times = await Promise.all(left.map(goesOn));
        expect(Math.max(...times)).toBeLessThan(2_000);
        await shared();
      }
    });
    for (const page of left) {
      await gotAll(page, from);
      expect(await page.evaluate('states')).toEqual(['open']);
    }
  });

  it('go on where the leader is frozen, which follows when it wakes, with every event once', async () => {
    await start();
    const from = published;
    const pages = await openTabs(3);
    await publishDuring(async () => {
      const leader = await leaderOf(pages);
      const others = pages.filter((page) => page !== leader);
      await leader.evaluate(
        'setTimeout(() => { for (const end = Date.now() + 9_000; Date.now() < end; ); })',
      );
      const times = await Promise.all(others.map(goesOn));
      expect(Math.max(...times)).toBeLessThan(9_000);
      expect(others).toContain(await leaderOf(pages));
      await shared();
    });
    for (const page of pages) await gotAll(page, from);
  });

  it('resume together after an outage, by one connection', async () => {
    await start();
    const from = published;
    const pages = await openTabs(5);
    await publish(10);
    for (const page of pages) await gotAll(page, from);
    proxy.refuse = true;
    proxy.cut();
    for (const page of pages)
      await until(
        () => page.evaluate<string>('source.state'),
        (state) => state !== 'open',
      );
    await until(connections, (count) => count === 0);
    let most = 0;
    await publishDuring(async () => {
      await publish(100);
      proxy.refuse = false;
      for (const page of pages) {
        await goesOn(page);
        most = Math.max(most, connections());
      }
    });
    for (const page of pages) await gotAll(page, from);
    expect(most).toBe(1);
  });

  it('do not share with another URL or another name', async () => {
    await start();
    await openTabs(2);
    const other = await open({ url: '/feed?channel=b' });
    const user = await open({ name: 'two' });
    await publish(3);
    await sse.publish('b', { channel: 'b' });
    await until(
      () => other.evaluate<number>('got.length'),
      (length) => length > 0,
    );
    expect(await other.evaluate('got')).toEqual(['b']);
    await gotAll(user, published - 3);
    expect(connections()).toBe(3);
  });
});

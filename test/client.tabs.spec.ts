import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { platforms } from './support/app.js';
import { closePages } from './support/chromium.js';
import { bundleTabs, launchWithCache, Tabs } from './support/tabs.js';
import { until } from './support/until.js';

describe.each(platforms)('Tabs that share a connection on %s', (_, platform) => {
  let script: string;
  let context: BrowserContext;
  let tabs: Tabs;
  beforeAll(async () => {
    [script, context] = [await bundleTabs(), await launchWithCache()];
  });
  afterEach(async () => {
    await closePages(context);
    tabs.proxy.close();
  });
  afterAll(() => context.browser()!.close());
  const start = async () => (tabs = await Tabs.start(platform, context, script));

  it('are twenty with one connection, and get every event once, in order', async () => {
    const { sse } = await start();
    const pages = await tabs.openTabs(20);
    const { delivered } = sse.stats();
    await tabs.publish(500);
    for (const page of pages) expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
    expect([tabs.connections, sse.stats().delivered - delivered]).toEqual([1, 500]);
  });

  it.each([
    ['is closed', (page: Page) => page.close()],
    ['leaves the page', (page: Page) => page.goto(`${tabs.origin}/page?other`)],
    ['closes its source', (page: Page) => page.evaluate('source.close()')],
    ['crashes', async (page: Page) => void page.goto('chrome://crash').catch(() => undefined)],
  ])('go on within 2 s where the leader %s, with every event once', async (__, leave) => {
    await start();
    let left = await tabs.openTabs(4);
    await tabs.publishDuring(async () => {
      for (let n = 0; n < 2; n++) {
        const leader = await tabs.leaderOf(left);
        left = left.filter((page) => page !== leader);
        await leave(leader);
        const times = await Promise.all(left.map((page) => tabs.goesOn(page)));
        expect(Math.max(...times)).toBeLessThan(2_000);
        await tabs.shared();
      }
    });
    for (const page of left) {
      expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
      expect(await page.evaluate('states')).toEqual(['open']);
    }
  });

  it('go on where the leader is frozen, which follows when it wakes, with every event once', async () => {
    await start();
    const pages = await tabs.openTabs(3);
    await tabs.publishDuring(async () => {
      const leader = await tabs.leaderOf(pages);
      const others = pages.filter((page) => page !== leader);
      const frozenMs = 12_000;
      await leader.evaluate(`setTimeout(() => {
        const request = new XMLHttpRequest();
        request.open('GET', '/late/${frozenMs}', false);
        request.send();
      })`);
      // 2.5 heartbeats, a check every 2 s, up to 3.5 s before the next attempt, and 1 s without an answer.
      const times = await Promise.all(others.map((page) => tabs.goesOn(page)));
      expect(Math.max(...times)).toBeLessThan(frozenMs);
      expect(others).toContain(await tabs.leaderOf(pages));
      await tabs.shared();
    });
    for (const page of pages) expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
  });

  it('resume after an outage, and share one connection again', async () => {
    await start();
    const pages = await tabs.openTabs(5);
    await tabs.publish(10);
    for (const page of pages) await tabs.gotBy(page);
    tabs.proxy.refuse = true;
    tabs.proxy.cut();
    const state = (page: Page) => page.evaluate<string>('source.state');
    for (const page of pages) {
      await until(
        () => state(page),
        (value) => value !== 'open',
      );
    }
    await tabs.publish(100);
    tabs.proxy.refuse = false;
    for (const page of pages) expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
    await tabs.shared();
  });

  it('connect at once where another one has connected', async () => {
    const { sse } = await start();
    const pages = await tabs.openTabs(3);
    // By themselves, they would connect after an hour.
    await sse.publish(-1, { channel: 'a', retry: 3_600_000 });
    for (const page of pages) await until(() => page.evaluate<boolean>('got.includes(-1)'));
    tabs.proxy.cut();
    const become = async (state: string) => {
      for (const page of pages) await until(() => page.evaluate<boolean>(`source.state === '${state}'`));
    };
    await become('waiting');
    await pages[0]!.evaluate(`dispatchEvent(new Event('online'))`);
    await become('open');
    await tabs.shared();
  });

  it('do not share with another URL or another name', async () => {
    const { sse } = await start();
    await tabs.openTabs(2);
    await tabs.publish(1);
    const other = await tabs.open({ url: '/feed?channel=b' });
    // At the position of the others, which would let it follow them.
    const lastEventId = await sse.position('a');
    const url = await tabs.open({ url: '/feed?channel=a&more', options: `lastEventId: '${lastEventId}'` });
    const user = await tabs.open({ name: 'two', options: `lastEventId: '${lastEventId}'` });
    await tabs.publish(3);
    await sse.publish('b', { channel: 'b' });
    await until(() => other.evaluate<boolean>('got.length > 0'));
    expect(await other.evaluate('got')).toEqual(['b']);
    for (const page of [url, user]) expect(await tabs.gotBy(page)).toEqual(tabs.numbers(1));
    expect(tabs.connections).toBe(4);
  });
});

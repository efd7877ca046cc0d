import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { platforms } from './support/app.js';
import { closePages } from './support/chromium.js';
import { bundleTabs, launchWithCache, Tabs } from './support/tabs.js';
import { until } from './support/until.js';

describe.each(platforms)('A tab among others that share a connection on %s', (_, platform) => {
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

  it('gets what it would get by a connection of its own: the newest events, and those after an id', async () => {
    await start();
    await tabs.publish(5);
    const pages = [await tabs.open({ url: '/newest' }), await tabs.open({ url: '/newest' })];
    await tabs.shared();
    await tabs.publish(5);
    for (const page of pages) expect(await tabs.gotBy(page)).toEqual(tabs.numbers(3));
    const ids = `globalThis.ids = []; source.on('message', (data, { id }) => ids.push(id));`;
    await pages[0]!.evaluate(ids);
    await tabs.publish(5);
    await tabs.gotBy(pages[0]!);
    const lastEventId = (await pages[0]!.evaluate<string[]>('ids'))[1]!;
    await tabs.publishDuring(async () => {
      const page = await tabs.open({ url: '/newest', options: `lastEventId: '${lastEventId}'` });
      await tabs.goesOn(page);
      await tabs.shared();
      pages.push(page);
    });
    expect(await tabs.gotBy(pages[2]!)).toEqual(tabs.numbers(12));
    expect(await tabs.gotBy(pages[1]!)).toEqual(tabs.numbers(3));
  });

  it.each([
    ['without a position', ''],
    ['at the position of the others', `lastEventId: localStorage.getItem('id'), `],
  ])('is refused by itself where its credentials are wrong, %s', async (__, position) => {
    await start();
    const [page] = await tabs.openTabs(2);
    await page!.evaluate(`localStorage.setItem('id', source.lastEventId)`);
    const wrong = await tabs.open({ options: `${position}headers: { authorization: 'wrong' }` });
    expect(await wrong.evaluate('[source.state, source.error.status]')).toEqual(['failed', 401]);
    await tabs.publish(3);
    expect(await tabs.gotBy(page!)).toEqual(tabs.numbers());
    expect([await wrong.evaluate('got'), tabs.connections]).toEqual([[], 1]);
  });

  it('connects by itself where the one with the connection has lost it', async () => {
    await start();
    const options = `fetch: (...request) => (globalThis.hangs ? new Promise(() => {}) : fetch(...request))`;
    const pages = [await tabs.open({ options }), await tabs.open({ options })];
    await tabs.shared();
    const leader = await tabs.leaderOf(pages);
    await leader.evaluate('void (globalThis.hangs = true)');
    const other = pages.find((page) => page !== leader)!;
    tabs.proxy.cut();
    const added = await tabs.open();
    await tabs.publish(3);
    for (const page of [other, added]) expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
  });

  it('does not delay the others where it does not read, and gets all later', async () => {
    await start();
    const pages = await tabs.openTabs(3);
    const slow = await tabs.leaderOf(pages);
    await slow.evaluate(`
      globalThis.read = [];
      globalThis.go = new Promise((resolve) => (globalThis.release = resolve));
      void (async () => {
        for await (const { data } of source) {
          read.push(data);
          await go;
        }
      })();
    `);
    const others = pages.filter((page) => page !== slow);
    await tabs.publishDuring(async () => {
      // The tab that does not read has left.
      await until(async () => (await slow.evaluate('globalThis.leads')) === false, Boolean, 60_000);
      for (const page of others) await tabs.goesOn(page);
      await tabs.shared();
    });
    for (const page of others) expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
    await slow.evaluate('release()');
    expect(await tabs.gotBy(slow)).toEqual(tabs.numbers());
    expect(await slow.evaluate('read')).toEqual(tabs.numbers());
    await tabs.shared();
  });

  it('follows again when it comes back from the back/forward cache', async () => {
    await start();
    const pages = await tabs.openTabs(3);
    const leader = await tabs.leaderOf(pages);
    await leader.evaluate(
      `addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted))`,
    );
    await tabs.publishDuring(async () => {
      await leader.goto(`${tabs.origin}/page?other`);
      const others = pages.filter((page) => page !== leader);
      await Promise.all(others.map((page) => tabs.goesOn(page)));
      await leader.goBack({ waitUntil: 'commit' });
      expect(await leader.evaluate('persisted')).toBe(true);
      await tabs.goesOn(leader);
      await tabs.shared();
    });
    for (const page of pages) expect(await tabs.gotBy(page)).toEqual(tabs.numbers());
  });

  it('has its own connection where there are no locks', async () => {
    await start();
    const page = await tabs.open();
    const without = await tabs.open({ options: `...(delete Navigator.prototype.locks && {})` });
    const refused = await tabs.open({
      options: `...((navigator.locks.request = () => Promise.reject(new DOMException('', 'SecurityError'))), {})`,
    });
    await tabs.publish(3);
    for (const each of [page, without, refused]) expect(await tabs.gotBy(each)).toEqual(tabs.numbers());
    expect(tabs.connections).toBe(3);
  });
});

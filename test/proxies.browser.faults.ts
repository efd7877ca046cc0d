import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { platforms } from './support/app.js';
import { launchChromium } from './support/chromium.js';
import { start, WATCH_MS } from './support/proxied-app.js';
import { type ProxyName, proxyNames, ReverseProxy } from './support/reverse-proxy.js';
import { until } from './support/until.js';

describe('Eight EventSources of a page in Chromium', () => {
  let context: BrowserContext;

  beforeAll(async () => {
    context = await launchChromium({ ignoreHTTPSErrors: true });
  });
  afterAll(() => context.browser()!.close());

  const open = async (name: ProxyName, changes?: Record<string, string>) => {
    const { sse, url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start(name, [url], changes);
    const page = await context.newPage();
    await page.goto(`${proxy.url}/health`);
    await page.evaluate(`
      globalThis.got = [];
      globalThis.sources = Array.from({ length: 8 }, (_, n) => {
        const source = new EventSource('/channel?channel=c' + n);
        source.onmessage = ({ data }) => got.push(data);
        return source;
      });
    `);
    const opened = () =>
      page.evaluate('sources.filter(({ readyState }) => readyState === EventSource.OPEN).length');
    return { sse, page, opened };
  };

  it.each(proxyNames)('are all open over the HTTP/2 of %s', async (name) => {
    const { sse, page, opened } = await open(name);
    await until(opened, (count) => count === 8);
    for (let n = 0; n < 8; n++) await sse.publish(n, { channel: `c${n}` });
    await until(
      () => page.evaluate<string[]>('got'),
      (got) => got.toSorted().join() === '0,1,2,3,4,5,6,7',
    );
    await page.close();
    await until(() => sse.stats().connections === 0);
  });

  it('are six over HTTP/1.1, and the remaining two wait until one of them closes', async () => {
    const { page, opened } = await open('nginx', { ' http2;': ';' });
    await until(opened, (count) => count === 6);
    await expect(until(opened, (count) => count !== 6, WATCH_MS)).rejects.toThrow('last seen: 6');
    await page.evaluate('sources.find(({ readyState }) => readyState === EventSource.OPEN).close()');
    await until(opened, (count) => count === 6);
    await page.close();
  });
});

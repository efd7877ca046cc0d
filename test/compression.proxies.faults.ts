import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { platforms } from './support/app.js';
import { launchChromium } from './support/chromium.js';
import { orderOf, startCompressed } from './support/compressed-app.js';
import { connectGzip } from './support/gzip-client.js';
import { proxyNames, ReverseProxy } from './support/reverse-proxy.js';
import { until } from './support/until.js';

const SIZES = [10, 1_000, 20, 70_000, 300, 10];
const options = { compression: { minBytes: 200 }, heartbeatMs: 3_600_000 };

describe.each(proxyNames)('Compressed events through %s', (name) => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await launchChromium({ ignoreHTTPSErrors: true });
  });
  afterAll(() => context.browser()!.close());

  it.each(platforms)('reach an EventSource in Chromium one by one (%s)', async (_, platform) => {
    const { url, sse } = await startCompressed(platform, options);
    const proxy = await ReverseProxy.start(name, [url]);
    const page = await context.newPage();
    const encodings: (string | undefined)[] = [];
    page.on('response', (response) => {
      if (response.url().includes('/channel')) encodings.push(response.headers()['content-encoding']);
    });
    await page.goto(`${proxy.url}/page`);
    await page.evaluate(`
      globalThis.got = [];
      globalThis.source = new EventSource('/channel');
      source.onmessage = ({ data }) => got.push(JSON.parse(data).number);
    `);
    await until(() => sse.stats().connections === 1);
    for (const [n, bytes] of SIZES.entries()) {
      await sse.publish(orderOf(n, bytes));
      await until(
        () => page.evaluate<number[]>('got'),
        (got) => got.includes(n),
      );
    }
    expect(await page.evaluate('got')).toEqual([0, 1, 2, 3, 4, 5]);
    expect(encodings).toEqual(['gzip']);
    await page.close();
    await until(() => sse.stats().connections === 0);
  });

  it.each(platforms)('end with their trailer over HTTP/1.1 (%s)', async (_, platform) => {
    const { app, url, sse } = await startCompressed(platform, options);
    const proxy = await ReverseProxy.start(name, [url]);
    const client = await connectGzip(`${proxy.url}/channel`);
    for (const [n, bytes] of SIZES.entries()) {
      await sse.publish(orderOf(n, bytes));
      await until(() => client.text.includes(`{"number":${n},`));
    }
    await app.close();
    await until(() => client.end);
    expect([client.end, client.response.headers['content-encoding']]).toEqual(['complete', 'gzip']);
  });
});

describe('A proxy that compresses', () => {
  it('does not compress events again (nginx)', async () => {
    const { url, sse } = await startCompressed(platforms[0][1], options);
    const types = { 'application/json;': 'application/json text/event-stream;' };
    const proxy = await ReverseProxy.start('nginx', [url], types);
    const client = await connectGzip(`${proxy.url}/channel`);
    await client.next();
    await sse.publish(orderOf(1, 1_000));
    expect((await client.next()).data).toContain('"number":1');
    const plain = await connectGzip(`${proxy.url}/secret`);
    expect(plain.response.headers['content-encoding']).toBe('gzip');
  });

  it('gets events as they are if it offloads compression (HAProxy)', async () => {
    const { url, sse } = await startCompressed(platforms[0][1], options);
    const offload = { 'compression algo gzip': 'compression algo gzip\n compression offload' };
    const proxy = await ReverseProxy.start('haproxy', [url], offload);
    const client = await proxy.connect('/channel', { 'accept-encoding': 'gzip' });
    expect(client.headers['content-encoding']).toBeUndefined();
    await client.next();
    await sse.publish(orderOf(1, 1_000));
    expect((await client.next()).data).toContain('"number":1');
  });
});

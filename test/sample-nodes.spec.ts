import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { closePages, launchChromium } from './support/chromium.js';
import { freePort } from './support/port.js';
import { randomPrefix, startRedis } from './support/redis.js';
import { Sample } from './support/sample.js';
import { SamplePage } from './support/sample-page.js';
import { until } from './support/until.js';

describe('The page of the sample over Redis', () => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await launchChromium();
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  const start = async (nodes: number) => {
    const redis = await startRedis();
    const env = { SSE_REDIS_URL: redis.url, SSE_PREFIX: randomPrefix() };
    const samples = await Promise.all(Array.from({ length: nodes }, () => Sample.start(env)));
    return { redis, env, samples: samples as [Sample, ...Sample[]] };
  };

  it('connects its second client to a second node, and publishes on each', async () => {
    const { samples } = await start(2);
    const [one, two] = samples as [Sample, Sample];
    const opened = await SamplePage.open(context, one.url);
    const { page, a, b } = opened;
    await Promise.all([a.state('open'), b.state('open')]);
    expect(await b.root.locator('[name=node]').inputValue()).toBe(two.url);
    for (const [button, { url }] of [one, two].entries()) {
      await opened.publish({ data: `through ${url}`, type: 'status' }, button);
      for (const client of [a, b]) await client.event(`through ${url}`, '.typed').waitFor();
    }
    expect(await page.locator('#nodes li').count()).toBe(2);
    for (const { url } of [one, two]) {
      const { connections } = await (await fetch(`${url}/node`)).json();
      expect(connections).toBe(1);
    }
    expect([opened.problems, opened.failedRequests]).toEqual([[], []]);
    expect([...opened.origins].toSorted()).toEqual([one.url, two.url].toSorted());

    // It resumes on the other node.
    await b.click('.connect');
    await opened.publish({ data: 'missed', type: '' }, 0);
    await a.event('missed').waitFor();
    await b.root.locator('[name=node]').selectOption(one.url);
    await b.click('.connect');
    await b.event('missed', '.replayed').waitFor();
    expect(await b.root.locator('.gap').count()).toBe(0);
  });

  it('answers no page of another host, and no other node with cookies', async () => {
    const { samples } = await start(1);
    const origins = ['http://localhost:1', 'http://localhost.example', 'https://example.com', 'null'];
    const allowed = await Promise.all(
      origins.map(async (origin) => {
        const { headers } = await fetch(`${samples[0].url}/node`, { headers: { origin } });
        return [headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')];
      }),
    );
    expect(allowed).toEqual([['http://localhost:1', null], ...Array(3).fill([null, null])]);
  });

  it('shows the state of Redis while its connections stay open', async () => {
    const { redis, samples } = await start(1);
    const opened = await SamplePage.open(context, samples[0].url);
    await opened.a.state('open');
    await opened.broker('up');
    expect(await opened.page.textContent('#broker')).toBe('Redis is connected');
    await redis.kill();
    await opened.broker('down');
    expect(await opened.page.textContent('#broker')).toBe('Redis is unreachable');
    await opened.a.state('open');
    await redis.start();
    await opened.broker('up');
    await until(async () => (await samples[0].publish({ data: 'after the outage' })).status === 201);
    await opened.a.event('after the outage').waitFor();
    expect(opened.problems).toEqual([]);
  });

  it('shows a gap when neither the node nor Redis has what the client missed', async () => {
    const { redis, env, samples } = await start(1);
    const port = `${await freePort()}`;
    const restarted = await Sample.start({ ...env, PORT: port });
    const { a, b, problems } = await SamplePage.open(context, samples[0].url);
    await Promise.all([a.state('open'), b.state('open')]);
    await samples[0].publish({ data: 'seen' });
    await b.event('seen').waitFor();
    await b.click('.connect');
    await restarted.signal('SIGTERM');
    await samples[0].publish({ data: 'missed' });
    await a.event('missed').waitFor();
    const admin = redis.admin();
    expect(await admin.xtrim(`${env.SSE_PREFIX}{sse}:history`, 'MAXLEN', 0)).toBe(2);
    admin.disconnect();
    await Sample.start({ ...env, PORT: port });
    await b.click('.connect');
    await b.event('Gap: events may be missing (lost)', '.gap').waitFor();
    expect(await b.event('missed', ':not(.gap)').count()).toBe(0);
    await samples[0].publish({ data: 'then' });
    await b.event('then').waitFor();
    expect(problems).toEqual([]);
  });
});

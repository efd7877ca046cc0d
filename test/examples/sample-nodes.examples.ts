import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { BrowserContext } from 'playwright-core';
import { closePages, launchChromium } from '../support/chromium.js';
import { freePort } from '../support/port.js';
import { adminUrl, randomPrefix, redisUrl, startRedis } from '../support/redis.js';
import { Sample } from '../support/sample.js';
import { SamplePage } from '../support/sample-page.js';
import { until } from '../support/until.js';

describe('The page of the sample over Redis', () => {
  let context: BrowserContext;
  let env: { SSE_REDIS_URL: string; SSE_PREFIX: string };
  let nodes: [Sample, Sample];
  beforeAll(async () => {
    env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const starting = Promise.all([Sample.startShared(env), Sample.startShared(env)]);
    [context, nodes] = await Promise.all([launchChromium(), starting]);
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  it('connects its second client to a second node, and publishes on each', async () => {
    const [one, two] = nodes;
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

  it('lets pages of this machine read its answers, without cookies, and no others', async () => {
    const allowedTo = async (origin: string) => {
      const { headers } = await fetch(`${nodes[0].url}/node`, { headers: { origin } });
      return [headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')];
    };
    expect(await allowedTo('http://localhost:1')).toEqual(['http://localhost:1', null]);
    for (const origin of ['http://localhost.example', 'https://example.com', 'null']) {
      expect(await allowedTo(origin)).toEqual([null, null]);
    }
  });

  it('shows the state of Redis while its connections stay open', async () => {
    const redis = await startRedis();
    const node = await Sample.start({ SSE_REDIS_URL: redis.url });
    const opened = await SamplePage.open(context, node.url);
    await opened.a.state('open');
    await opened.broker('up');
    expect(await opened.page.textContent('#broker')).toBe('Redis is connected');
    await redis.kill();
    await opened.broker('down');
    expect(await opened.page.textContent('#broker')).toBe('Redis is unreachable');
    await opened.a.state('open');
    await redis.start();
    await opened.broker('up');
    await until(async () => (await node.publish({ data: 'after the outage' })).status === 201);
    await opened.a.event('after the outage').waitFor();
    expect(opened.problems).toEqual([]);
  });

  it('shows a gap when neither the node nor Redis has what the client missed', async () => {
    const port = `${await freePort()}`;
    const restarted = await Sample.start({ ...env, PORT: port });
    const { a, b, problems } = await SamplePage.open(context, nodes[0].url);
    await a.subscribe('channel', 'gap');
    await b.root.locator(`option[value="${restarted.url}"]`).waitFor({ state: 'attached' });
    await b.root.locator('[name=node]').selectOption(restarted.url);
    await b.subscribe('channel', 'gap');
    const publish = (data: string) => nodes[0].publish({ data, channel: 'gap' });
    await publish('seen');
    await b.event('seen').waitFor();
    await b.click('.connect');
    await restarted.signal('SIGTERM');
    await publish('missed');
    await a.event('missed').waitFor();
    const admin = new Redis(adminUrl());
    expect(await admin.xtrim(`${env.SSE_PREFIX}{gap}:history`, 'MAXLEN', 0)).toBe(2);
    admin.disconnect();
    await Sample.start({ ...env, PORT: port });
    await b.click('.connect');
    await b.event('Gap: events may be missing (lost)', '.gap').waitFor();
    expect(await b.event('missed', ':not(.gap)').count()).toBe(0);
    await publish('then');
    await b.event('then').waitFor();
    expect(problems).toEqual([]);
  });
});

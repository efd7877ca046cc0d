import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { closePages, launchChromium } from '../support/chromium.js';
import { randomPrefix, redisUrl } from '../support/redis.js';
import { Sample } from '../support/sample.js';
import { SamplePage } from '../support/sample-page.js';
import { until } from '../support/until.js';

const CLIENTS = ['first', 'second'] as const;

describe('The job panel of the sample', () => {
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

  const client = (page: Page, name: (typeof CLIENTS)[number]) => page.locator(`#job-${name}`);
  const state = (page: Page, name: (typeof CLIENTS)[number], expected: string) =>
    page.locator(`#job-${name}[data-state=${expected}]`).waitFor();
  const counts = async (page: Page, name: (typeof CLIENTS)[number]) => {
    const text = (selector: string) => client(page, name).locator(selector).textContent();
    return { step: Number.parseInt((await text('.step'))!), received: Number(await text('.received')) };
  };
  const progress = (page: Page, name: (typeof CLIENTS)[number], least: number) =>
    until(
      () => counts(page, name),
      ({ step }) => step >= least,
    );
  const start = async (page: Page, button: string, paceMs: number) => {
    await page.fill('#pace', `${paceMs}`);
    await page.click(button);
    await page.locator('#job-answer', { hasText: '201 Created' }).waitFor();
  };
  /** Connections of a node to clients of jobs. */
  const connections = async ({ url }: Sample) => {
    const listed = (await (await fetch(`${url}/connections`)).json()) as { route: string }[];
    return listed.filter(({ route }) => route.startsWith('/jobs')).length;
  };

  it('shows a job of another node on both nodes, to its end', async () => {
    const opened = await SamplePage.open(context, nodes[0].url);
    const { page } = opened;
    await start(page, '#start-other', 10);
    for (const name of CLIENTS) {
      await state(page, name, 'done');
      expect(await counts(page, name)).toEqual({ step: 100, received: 100 });
      expect(await client(page, name).locator('.end').textContent()).toBe('{"status":"done"}');
      expect(await client(page, name).locator('.badge').textContent()).toBe('Ended: done');
    }
    expect(await page.textContent('#job-node')).toBe(new URL(nodes[1].url).host);
    expect(await page.locator('#stop').isDisabled()).toBe(true);
    for (const node of nodes) await until(async () => (await connections(node)) === 0);
    expect([opened.problems, opened.failedRequests]).toEqual([[], []]);
  });

  it('shows the running job after a reload and in a second tab, and stops it for all', async () => {
    const opened = await SamplePage.open(context, nodes[0].url);
    const { page } = opened;
    await start(page, '#start-own', 200);
    await progress(page, 'first', 2);
    await page.reload();
    const { step, received } = await progress(page, 'first', 3);
    expect(received).toBeGreaterThanOrEqual(step);
    const opening = context.waitForEvent('page');
    await page.click('#job-tab');
    const tab = await opening;
    for (const shown of [page, tab]) {
      for (const name of CLIENTS) await progress(shown, name, 3);
    }
    await tab.click('#stop');
    await tab.locator('#job-answer', { hasText: '200 OK: stopped' }).waitFor();
    const ends = [];
    for (const shown of [page, tab]) {
      for (const name of CLIENTS) {
        await state(shown, name, 'aborted');
        ends.push(await counts(shown, name));
        expect(await client(shown, name).locator('.end').textContent()).toBe(
          '{"status":"aborted","reason":"user"}',
        );
      }
    }
    expect(new Set(ends.map((count) => JSON.stringify(count))).size).toBe(1);
    expect(ends[0]!.received).toBe(ends[0]!.step);
    expect([opened.problems, opened.failedRequests]).toEqual([[], []]);
  });

  it('shows the loss of a job after its node was killed', async () => {
    const own = { ...env, SSE_PREFIX: randomPrefix() };
    const [one] = await Promise.all([Sample.start(own), Sample.start(own)]);
    const { page, problems } = await SamplePage.open(context, one.url);
    await start(page, '#start-other', 200);
    for (const name of CLIENTS) await progress(page, name, 2);
    await page.click('#kill');
    await page.locator('#job-answer', { hasText: 'POST /kill' }).waitFor();
    await state(page, 'first', 'lost');
    const shown = await counts(page, 'first');
    expect(shown.received).toBe(shown.step);
    await page.reload();
    await state(page, 'first', 'lost');
    expect(await counts(page, 'first')).toEqual(shown);
    expect(await client(page, 'first').locator('.end').textContent()).toBe(
      '{"status":"lost","reason":"lease"}',
    );
    await page.locator('#no-second').waitFor();
    expect(problems).toEqual([]);
  });

  it('closes its connections while the tab is hidden, and misses no step', async () => {
    const opened = await SamplePage.open(context, nodes[0].url);
    const { page } = opened;
    await start(page, '#start-own', 20);
    for (const name of CLIENTS) await progress(page, name, 5);
    await opened.setHidden(true);
    for (const name of CLIENTS) await state(page, name, 'paused');
    for (const node of nodes) await until(async () => (await connections(node)) === 0);
    await opened.setHidden(false);
    for (const name of CLIENTS) {
      await state(page, name, 'done');
      expect(await counts(page, name)).toEqual({ step: 100, received: 100 });
    }
    expect(opened.problems).toEqual([]);
  });

  it('says that nothing is kept of an unknown job', async () => {
    const { page, problems } = await SamplePage.open(context, `${nodes[0].url}/?job=unknown`);
    for (const name of CLIENTS) {
      await state(page, name, 'missing');
      expect(await client(page, name).locator('.badge').textContent()).toBe('Nothing is kept of this job');
    }
    expect(await page.locator('#kill').isDisabled()).toBe(true);
    expect(problems).toEqual([]);
  });
});

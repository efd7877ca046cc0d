import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { closePages, launchChromium } from '../support/chromium.js';
import { randomPrefix, redisUrl } from '../support/redis.js';
import { Sample } from '../support/sample.js';
import { SamplePage } from '../support/sample-page.js';
import { until } from '../support/until.js';

describe('The chat of the sample', () => {
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

  const state = (page: Page, expected: string) =>
    until(
      () => page.locator('#state').getAttribute('data-state'),
      (seen) => seen === expected,
    );
  const open = async (url: string) => {
    const opened = await SamplePage.open(context, url);
    await opened.page.locator('#state:not([data-state=loading])').waitFor();
    return opened;
  };
  /** A page of the first of two nodes, which knows the second one. */
  const openKnowing = async ([one, two]: [Sample, Sample]) => {
    const opened = await open(`${one.url}/chat`);
    await opened.page
      .locator(`#node option[value="${new URL(two.url).origin}"]`)
      .waitFor({ state: 'attached' });
    return opened;
  };
  const send = async (page: Page, tokens: { speed: number; length: number }, text = 'Why?') => {
    for (const [name, value] of Object.entries(tokens)) await page.fill(`#${name}`, `${value}`);
    await page.fill('#text', text);
    await page.press('#text', 'Enter');
  };
  const answers = (page: Page) => page.locator('.message.assistant');
  const text = (page: Page) => answers(page).last().locator('.text').textContent();
  const words = async (page: Page) => ((await text(page)) ?? '').match(/\S+/g)?.length ?? 0;
  const written = (page: Page, least: number) =>
    until(
      () => words(page),
      (count) => count >= least,
    );
  const ended = (page: Page, note: string) =>
    page.locator('.message.assistant:last-child .message-end:visible', { hasText: note }).waitFor();

  it('shows an answer to its end, also after a reload in the middle', async () => {
    const opened = await open(`${nodes[0].url}/chat`);
    const { page } = opened;
    await send(page, { speed: 40, length: 120 });
    await written(page, 5);
    await page.reload();
    await until(async () => (await words(page)) === 120);
    await state(page, 'idle');
    const shown = await text(page);
    await page.reload();
    await state(page, 'idle');
    expect([await text(page), await answers(page).count()]).toEqual([shown, 1]);
    expect([opened.problems, opened.failedRequests]).toEqual([[], []]);
  });

  it('shows the same in tabs of both nodes, which join in the middle or wait, and each stops it', async () => {
    const { page } = await open(`${nodes[0].url}/chat`);
    const { search } = new URL(page.url());
    const { page: waiting } = await open(`${nodes[1].url}/chat${search}`);
    await send(page, { speed: 40, length: 2_000 });
    await written(page, 10);
    const opening = context.waitForEvent('page');
    await page.click('#tab');
    const tabs = [page, waiting, await opening];
    await page.reload();
    for (const tab of tabs) await written(tab, 20);
    await waiting.click('#stop');
    for (const tab of tabs) await ended(tab, 'Stopped');
    const shown = new Set(await Promise.all(tabs.map(text)));
    expect(shown.size).toBe(1);
    await page.reload();
    await ended(page, 'Stopped');
    expect(await text(page)).toContain([...shown][0]);
    await page.fill('#length', '10');
    await page.click('.again:visible');
    for (const tab of tabs) await until(async () => (await words(tab)) === 10);
  });

  it('resumes a broken connection on another node, without a gap', async () => {
    const { page, problems } = await openKnowing(nodes);
    await send(page, { speed: 40, length: 160 });
    await written(page, 5);
    await page.click('#break');
    await ended(page, 'The connection is broken');
    await until(async () => (await page.textContent('#resumed')) === 'once');
    await state(page, 'idle');
    expect(await page.textContent('#read-from')).toBe(new URL(nodes[1].url).host);
    expect([await words(page), await page.textContent('#chunks')]).toEqual([160, '166']);
    expect(problems).toEqual([]);
  });

  it('shows the error of a model', async () => {
    const { page } = await open(`${nodes[0].url}/chat`);
    await page.check('#fails');
    await send(page, { speed: 200, length: 20 });
    await ended(page, 'Error: The model is overloaded');
    await state(page, 'idle');
    expect(await words(page)).toBe(10);
    await page.reload();
    await ended(page, 'Error: The model is overloaded');
  });

  it('shows that an answer was lost after its node, which may be that of the page, was killed', async () => {
    const own = { ...env, SSE_PREFIX: randomPrefix() };
    const [one, two] = await Promise.all([Sample.start(own), Sample.start(own)]);
    const { page, problems } = await openKnowing([one, two]);
    const { page: other } = await open(`${two.url}/chat${new URL(page.url()).search}`);
    await send(page, { speed: 40, length: 2_000 });
    for (const tab of [page, other]) await written(tab, 10);
    await page.click('#kill');
    for (const tab of [page, other]) await ended(tab, 'Error: The answer was lost');
    expect(await text(page)).toBe(await text(other));
    await other.reload();
    await ended(other, 'Error: The answer was lost');
    expect(await text(other)).toBe(await text(page));
    expect(problems).toEqual([]);
  });

  it('closes its connections while the tab is hidden, and misses nothing', async () => {
    const opened = await open(`${nodes[0].url}/chat`);
    const { page } = opened;
    const connections = async () => {
      const listed = (await (await fetch(`${nodes[0].url}/connections`)).json()) as { route: string }[];
      return listed.filter(({ route }) => route.startsWith('/chat')).length;
    };
    await send(page, { speed: 100, length: 200 });
    await written(page, 5);
    await opened.setHidden(true);
    await until(async () => (await connections()) === 0);
    await opened.setHidden(false);
    await until(async () => (await words(page)) === 200);
    expect(opened.problems).toEqual([]);
  });

  it('is linked from the page of the sample, and shows messages as text', async () => {
    const { page, problems } = await SamplePage.open(context, nodes[0].url);
    await page.click('.chat-link a');
    await state(page, 'idle');
    await send(page, { speed: 200, length: 3 }, '<b>Why?</b>');
    await until(async () => (await words(page)) === 3);
    expect(await page.locator('.message.user .text').textContent()).toBe('<b>Why?</b>');
    await page.click('summary');
    await page.locator('.code pre', { hasText: 'async *read(' }).waitFor();
    await until(async () => (await page.locator('.code pre', { hasText: 'sample/' }).count()) === 7);
    await page.setViewportSize({ width: 360, height: 740 });
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(overflow)).toBe(0);
    expect(problems).toEqual([]);
  });
});

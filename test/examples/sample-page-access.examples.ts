import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { closePages, launchChromium } from '../support/chromium.js';
import { Sample } from '../support/sample.js';
import { SamplePage } from '../support/sample-page.js';
import { until } from '../support/until.js';

describe('The access panel of the sample', () => {
  let context: BrowserContext;
  let sample: Sample;
  beforeAll(async () => {
    [context, sample] = await Promise.all([launchChromium(), Sample.startShared()]);
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  const answer = (page: Page, text: string) => page.locator('#access-answer', { hasText: text }).waitFor();
  const login = async (page: Page, user: string) => {
    await page.fill('#user', user);
    await page.click('#login button');
    await page.getByText(`Logged in as ${user}`).waitFor();
  };
  const reader = (page: Page, state: string) => page.locator(`#reader[data-state=${state}]`).waitFor();
  const event = (page: Page, text: string) =>
    page.locator('#record-events li', { hasText: text }).first().waitFor();

  it('opens the channel of a record for its owner and allowed readers, and shows the status of a refusal', async () => {
    const opened = await SamplePage.open(context, sample.url);
    const { page, problems } = opened;
    await page.click('#read');
    await reader(page, 'refused');
    expect(await page.textContent('#reader')).toBe('Refused: 401');
    await page.click('#write button');
    await answer(page, 'PUT /records/7 → 401 Unauthorized');

    await login(page, 'ann');
    await page.click('#write button');
    await answer(page, 'PUT /records/7 → 200 OK');
    await page.click('#read');
    await reader(page, 'open');
    // What was written before comes with the position, not as an event.
    await event(page, '{"title":"First draft"}');
    expect(await page.locator('#record-events li').count()).toBe(1);
    await page.fill('#title', 'Second draft');
    await page.click('#write button');
    await event(page, '{"title":"Second draft"}');
    await opened.setHidden(true);
    await reader(page, 'closed');
    await opened.setHidden(false);
    await reader(page, 'open');
    await page.click('#share [value=PUT]');
    await answer(page, 'PUT /records/7/readers/bob → 204 No Content');
    await page.click('#read');
    await reader(page, 'closed');

    await login(page, 'bob');
    await page.click('#read');
    await reader(page, 'open');
    await page.click('#write button');
    await answer(page, 'PUT /records/7 → 403 Forbidden');
    await page.click('#read');
    await login(page, 'eve');
    await page.click('#read');
    await reader(page, 'refused');
    expect(await page.textContent('#reader')).toBe('Refused: 403');

    await page.reload();
    await page.getByText('Logged in as eve').waitFor();
    await page.click('#logout');
    await page.getByText('Not logged in').waitFor();
    expect(problems).toEqual([]);
  });

  it('disconnects a connection, whose client reconnects and misses nothing', async () => {
    const { page, a, problems } = await SamplePage.open(context, sample.url);
    await a.state('open');
    await sample.publish({ data: 'before', retry: 100 });
    await a.event('before').waitFor();
    const button = page.locator('#connection-list li', { hasText: '/channel' }).getByRole('button');
    // The list has the connections of the last test's page until they have ended.
    const isAlone = () => until(async () => (await button.count()) === 1);
    await isAlone();
    await button.click();
    await answer(page, 'POST /disconnect → 401 Unauthorized');
    await login(page, 'ann');
    await isAlone();
    const listed = await (await fetch(`${sample.url}/connections`)).json();
    await button.click();
    await answer(page, 'POST /disconnect → 201 Created, ended on this node: 1');
    await until(async () => {
      const now = await (await fetch(`${sample.url}/connections`)).json();
      return now.length === 1 && now[0].id !== listed[0].id;
    });
    await a.state('open');
    await sample.publish({ data: 'after' });
    await a.event('after').waitFor();
    expect(await a.root.locator('.gap').count()).toBe(0);
    expect(problems).toEqual([]);
  });

  it('disconnects a user until the next login', async () => {
    const { page, problems } = await SamplePage.open(context, sample.url);
    await page.fill('#record', '8');
    await login(page, 'ann');
    await page.click('#write button');
    await answer(page, 'PUT /records/8 → 200 OK');
    await page.click('#read');
    await reader(page, 'open');
    await page.click('#disconnect button');
    await answer(page, 'POST /disconnect → 201 Created, ended on this node: 1');
    await reader(page, 'waiting');
    expect(await page.textContent('#reader')).toBe('Reconnects: The response ended');
    await login(page, 'ann');
    await reader(page, 'open');
    await page.click('#write button');
    await page.locator('#record-events li', { hasText: 'First draft' }).first().waitFor();
    expect(problems).toEqual([]);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { Chat, ChatApp, type ChatNode, sdks, wordsOf } from './support/ai/chat.js';
import { platforms } from './support/app.js';
import { closePages, launchChromium } from './support/chromium.js';
import { until } from './support/until.js';

let context: BrowserContext;
let app: ChatApp;
beforeAll(async () => {
  app = ChatApp.build(sdks[2]);
  context = await launchChromium();
});
afterAll(async () => {
  await context.browser()!.close();
  await app.remove();
});
afterEach(() => closePages(context));

describe.each(platforms.map(([name]) => name))('The recipe for an AI chat on %s', (platform) => {
  let [one, two]: [ChatNode, ChatNode] = [] as never;
  beforeAll(async () => {
    [one, two] = await Promise.all([app.start(platform), app.start(platform)]);
  });
  afterAll(() => Promise.all([one.end('SIGKILL'), two.end('SIGKILL')]));

  const open = async ({ url }: ChatNode, { id }: Chat) => {
    const page = await context.newPage();
    await page.goto(`${url}/page?id=${id}&recipe`);
    return page;
  };
  const send = async (page: Page, text: string) => {
    await page.fill('input', text);
    await page.click('text=Send');
  };
  const answer = (page: Page) =>
    page.evaluate<string>(`document.querySelector('.assistant')?.textContent ?? ''`);

  it('shows an answer that goes on over a refresh, on another node, and is stored', async () => {
    const chat = new Chat(app);
    const page = await open(one, chat);
    await send(page, chat.ask(100, 15));
    await until(
      () => answer(page),
      (text) => text.includes('w5 '),
    );
    await page.goto(page.url().replace(one.url!, two.url!));
    await until(
      () => answer(page),
      (text) => text === wordsOf(100),
    );
    await page.waitForSelector('text=Send');
    expect(await page.locator('p').count()).toBe(2);
    expect((await chat.stored())[1]!.parts.at(-1)!.text).toBe(wordsOf(100));
  });

  it('stops an answer, and shows the error of the model', async () => {
    const chat = new Chat(app);
    const page = await open(one, chat);
    await send(page, chat.ask(1_000, 15));
    await until(
      () => answer(page),
      (text) => text.includes('w5 '),
    );
    await page.click('text=Stop');
    await page.waitForSelector('text=Send');
    expect(wordsOf(1_000).startsWith(await answer(page))).toBe(true);
    await send(page, `${chat.ask(2, 15)} then fail`);
    await page.waitForSelector('[role=alert]');
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { platforms } from '../app.js';
import { closePages, launchChromium } from '../chromium.js';
import { Relay } from '../relay.js';
import { until } from '../until.js';
import { Chat, ChatApp, type ChatNode, ChatPage, type Sdk, wordsOf } from './chat.js';

const kinds = ['sdk', ''] as const;

/** What holds for the recipe with one version of the AI SDK, for its own transport (`sdk`) and for ours. */
export function describeChats(sdk: Sdk): void {
  let context: BrowserContext;
  let app: ChatApp;
  beforeAll(async () => {
    app = ChatApp.build(sdk);
    context = await launchChromium();
  });
  afterAll(async () => {
    await context.browser()!.close();
    await app.remove();
  });
  afterEach(() => closePages(context));

  describe.each(platforms.map(([name]) => name))('on %s', (platform) => {
    let [one, two]: [ChatNode, ChatNode] = [] as never;
    beforeAll(async () => {
      [one, two] = await Promise.all([app.start(platform), app.start(platform)]);
    });
    afterAll(() => Promise.all([one.end('SIGKILL'), two.end('SIGKILL')]));

    interface Question {
      count?: number;
      ms?: number;
      more?: string;
      node?: ChatNode;
      /** Where a proxy ends the response. */
      endAfter?: string;
    }

    /** A new chat, and a page behind a relay to a node, which has asked for an answer. The model waits before the end until `chat.release()`. */
    const ask = async (
      kind: '' | 'sdk',
      { count = 60, ms = 15, more = '', node = one, endAfter }: Question = {},
    ) => {
      const chat = new Chat(app);
      const relay = await Relay.start(node.url!);
      const page = await ChatPage.open(context, relay.url, chat.id, kind);
      relay.endAfter = endAfter;
      const question = `${chat.ask(count, ms)} then wait${more}`;
      await page.send(question);
      return { chat, relay, page, whole: { texts: [question, wordsOf(count)], roles: 'user,assistant' } };
    };
    type Asked = Awaited<ReturnType<typeof ask>>;
    /** The same with both transports, at the same time. */
    const askBoth = (question?: Question) => Promise.all(kinds.map((kind) => ask(kind, question)));

    it('is whole after each of 20 refreshes, on either node, and in a second tab', async () => {
      const { chat, page, whole } = await ask('sdk', { ms: 20 });
      let tab: ChatPage | undefined;
      for (let n = 0; n < 20; n++) {
        await page.words(n * 3 - 1);
        if (n === 10) tab = await ChatPage.open(context, two.url!, chat.id, 'sdk');
        await page.page.goto(page.page.url().replace(/^http:..[^/]+/, [one, two][n % 2]!.url!));
        const { texts } = await page.words(1);
        expect(wordsOf(60).startsWith(texts[1]!)).toBe(true);
      }
      await chat.release();
      for (const shown of [await page.ended(60), await tab!.ended(60)]) {
        expect(shown).toMatchObject({ ...whole, status: 'ready' });
      }
      expect((await chat.stored()).map(({ role }) => role)).toEqual(['user', 'assistant']);
      expect([...page.errors, ...tab!.errors]).toEqual([]);
    });

    it.each(kinds)('(%s) is stopped after a refresh, from the second node, for all tabs', async (kind) => {
      const { chat, page } = await ask(kind, { count: 1_000 });
      await page.words(5);
      await page.page.reload();
      const tab = await ChatPage.open(context, two.url!, chat.id, kind);
      await Promise.all([page.words(10), tab.words(10)]);
      const answer = await fetch(`${two.url}/api/chat/${chat.id}/stop`, { method: 'POST' });
      expect(await answer.json()).toEqual({ stop: 'stopped' });
      const [first, second] = [await page.ended(), await tab.ended()];
      expect([first.status, second.status]).toEqual(['ready', 'ready']);
      expect(first.texts).toEqual(second.texts);
      expect(wordsOf(1_000).startsWith(first.texts[1]!)).toBe(true);
      // The model has stopped, and the application has what it had written.
      const stored = await until(
        () => chat.stored(),
        ({ length }) => length === 2,
      );
      const text = stored[1]!.parts.find(({ type }) => type === 'text')!.text;
      expect(text.startsWith(first.texts[1]!)).toBe(true);
      const written = await chat.written();
      expect(written).toBeLessThan(1_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await chat.written()).toBe(written);
    });

    it('keeps every message where the next one is sent right after a stop', async () => {
      const node = await app.start(platform, {}, { SAVE_MS: '300' });
      const { chat, page } = await ask('', { count: 1_000, node });
      await page.words(5);
      await fetch(`${node.url}/api/chat/${chat.id}/stop`, { method: 'POST' });
      await page.ended();
      await page.send(chat.ask(3, 5));
      await page.until(
        ({ roles, status }) => roles === 'user,assistant,user,assistant' && status === 'ready',
      );
      const roles = (await chat.stored()).map(({ role }) => role);
      expect(roles.toSorted()).toEqual(['assistant', 'assistant', 'user', 'user']);
      await node.end('SIGKILL');
    });

    it.each(kinds)('(%s) shows an error of the model in all tabs', async (kind) => {
      const { chat, page, whole } = await ask(kind, { more: ' then fail' });
      await page.words(5);
      const tab = await ChatPage.open(context, two.url!, chat.id, kind);
      await tab.words(5);
      await chat.release();
      for (const shown of [await page.ended(), await tab.ended()]) {
        expect(shown).toMatchObject({ ...whole, status: 'error' });
      }
    });

    it('has no part twice where a partial message was stored', async () => {
      const asked = await askBoth();
      const check = async ({ chat, page, whole }: (typeof asked)[0], kind: '' | 'sdk') => {
        await page.words(10);
        await chat.store(
          await page.page.evaluate<{ id: string }[]>('JSON.parse(JSON.stringify(chat.messages))'),
        );
        const tab = await ChatPage.open(context, two.url!, chat.id, kind);
        await tab.words(59);
        await chat.release();
        expect(await tab.ended(60)).toMatchObject(whole);
      };
      await Promise.all(kinds.map((kind, n) => check(asked[n]!, kind)));
    });

    it('(sdk) shows an error after a broken connection, and is whole after a refresh', async () => {
      const { chat, page, relay, whole } = await ask('sdk');
      await page.words(10);
      relay.cut();
      expect((await page.ended()).status).toBe('error');
      await page.page.reload();
      await page.words(1);
      await chat.release();
      expect(await page.ended(60)).toMatchObject(whole);
    });

    it('resumes in the middle after broken connections, without a chunk twice', async () => {
      const { chat, page, relay, whole } = await ask('', { count: 100 });
      for (const count of [10, 40, 99]) {
        await page.words(count);
        relay.cut();
      }
      await chat.release();
      const shown = await page.ended(100);
      expect(shown).toMatchObject({ ...whole, statuses: ['ready', 'submitted', 'streaming', 'ready'] });
      const resumed = relay.heads.filter((head) => /^last-event-id: \d+-\d+$/im.test(head));
      expect(resumed.length).toBeGreaterThan(2);
      expect(relay.responses.match(/"delta":"w5 "/g)).toHaveLength(1);
    });

    it('is cut off by a proxy that ends the response in the middle, until a refresh, or resumes', async () => {
      const [theirs, ours] = (await askBoth({ endAfter: '"delta":"w20 "}\n\n' })) as [Asked, Asked];
      // The SDK takes the end of a response for that of the answer.
      expect(await theirs.page.ended()).toMatchObject({
        status: 'ready',
        texts: [theirs.whole.texts[0], wordsOf(21)],
      });
      await theirs.page.page.reload();
      await theirs.page.words(59);
      for (const { chat } of [theirs, ours]) await chat.release();
      for (const { page, whole } of [theirs, ours]) expect(await page.ended(60)).toMatchObject(whole);
    });

    it('is whole for a page that was loaded before its end, and resumes after it', async () => {
      const { chat, page, whole } = await ask('', { count: 20 });
      await page.words(2);
      const body = await (await fetch(`${one.url}/api/chat/${chat.id}`)).text();
      await chat.release();
      await page.ended(20);
      const tab = await context.newPage();
      await tab.route('**/api/chat/*', (route) => route.fulfill({ body, contentType: 'application/json' }));
      await tab.goto(`${two.url}/page?id=${chat.id}`);
      const texts = () => tab.evaluate<string[] | undefined>('globalThis.shown?.texts');
      expect(await until(texts, (shown) => shown?.length === 2)).toEqual(whole.texts);
    });

    it('shows an error when the node of the producer is killed, on every node', async () => {
      const node = await app.start(platform, {}, { LEASE_MS: '3000' });
      const asked = await askBoth({ node });
      const check = async ({ chat, page }: Asked, kind: '' | 'sdk') => {
        await page.words(5);
        const tab = await ChatPage.open(context, two.url!, chat.id, kind);
        await tab.words(5);
        return { page, tab };
      };
      const pages = await Promise.all(kinds.map((kind, n) => check(asked[n]!, kind)));
      for (const { relay } of asked) relay.moveTo(two.url!);
      await node.end('SIGKILL');
      for (const { tab } of pages)
        expect(await tab.ended()).toMatchObject({ status: 'error', error: 'The answer was lost' });
      const [theirs, ours] = [await pages[0]!.page.ended(), await pages[1]!.page.ended()];
      // The SDK shows that its connection has broken; ours has resumed on the other node.
      expect([theirs.status, ours.status, ours.error]).toEqual(['error', 'error', 'The answer was lost']);
    });

    it('is whole after a deploy in the middle: at once, or after a refresh', async () => {
      const node = await app.start(platform, { drainMs: 20_000 });
      const [theirs, ours] = (await askBoth({ node, count: 150 })) as [Asked, Asked];
      await Promise.all([theirs.page.words(5), ours.page.words(5)]);
      const ended = node.end('SIGTERM');
      for (const { relay } of [theirs, ours]) {
        relay.moveTo(two.url!);
        relay.cut();
      }
      expect((await theirs.page.ended()).status).toBe('error');
      await theirs.page.page.reload();
      await theirs.page.words(1);
      for (const { chat } of [theirs, ours]) await chat.release();
      for (const { page, whole } of [theirs, ours]) expect(await page.ended(150)).toMatchObject(whole);
      expect(ours.relay.responses.match(/"delta":"w5 "/g)).toHaveLength(1);
      await ended;
    });
  });
}

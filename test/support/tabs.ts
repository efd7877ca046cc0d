import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Header, Headers, Param, ParseIntPipe, UnauthorizedException } from '@nestjs/common';
import { fromQuery, SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import type { BrowserContext, Page } from 'playwright-core';
import { type Platform, startApp } from './app.js';
import { launchChromium } from './chromium.js';
import { bundleClient } from './client-bundle.js';
import { Proxy } from './proxy.js';
import { until } from './until.js';

@Controller()
class FeedController {
  @SseChannel('feed', { channel: fromQuery, allow: /^[ab]$/ })
  feed(@Headers('authorization') token?: string) {
    if (token === 'wrong') throw new UnauthorizedException();
  }

  @SseChannel('newest')
  async newest() {
    return { channel: 'a', from: { last: 2 } };
  }

  /** A page that waits for it does nothing else, and takes no time of the processor from other tests. */
  @Get('late/:ms')
  late(@Param('ms', ParseIntPipe) ms: number) {
    return sleep(ms);
  }

  @Get('page')
  @Header('content-type', 'text/html')
  page() {
    return '<!doctype html><link rel="icon" href="data:,">';
  }
}

/** Tells which tab leads: the one that has the lock. */
const WATCH_LOCKS = `
  const request = navigator.locks?.request;
  if (request) navigator.locks.request = (name, options, hold) =>
    request.call(navigator.locks, name, options, () => {
      globalThis.leads = true;
      return hold();
    }).finally(() => (globalThis.leads = false));
`;

/** Pages of a browser that keeps pages in its back/forward cache. */
export async function launchWithCache(): Promise<BrowserContext> {
  const context = await launchChromium({}, { ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  await context.addInitScript(WATCH_LOCKS);
  return context;
}

/** The client and its tabs. */
export const bundleTabs = (): Promise<string> => bundleClient('index', 'tabs');

interface TabOptions {
  readonly name?: string;
  readonly url?: string;
  /** Further options, as source text. */
  readonly options?: string;
}

/** Tabs of one application behind a proxy, and the numbers that it publishes. */
export class Tabs {
  #published = 0;

  readonly origin: string;

  private constructor(
    readonly sse: SseService,
    readonly proxy: Proxy,
    private readonly context: BrowserContext,
    private readonly script: string,
  ) {
    this.origin = proxy.url.replace(/^redis(.*)\/0$/, 'http$1');
  }

  static async start(platform: Platform, context: BrowserContext, script: string): Promise<Tabs> {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot({ heartbeatMs: 1_000, retryMs: 1_000 })],
      controllers: [FeedController],
    });
    const proxy = await Proxy.start(Number(new URL(url).port));
    return new Tabs(app.get(SseService), proxy, context, script);
  }

  get connections(): number {
    return this.sse.stats().connections;
  }

  /** Resolves when all tabs share one connection. */
  async shared(): Promise<void> {
    await until(
      () => this.connections,
      (count) => count === 1,
    );
  }

  /** A tab whose source has connected or failed. */
  async open({ name = 'one', url = '/feed?channel=a', options = '' }: TabOptions = {}): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(`${this.origin}/page`);
    await page.addScriptTag({ content: this.script });
    await page.evaluate(`
      globalThis.got = [];
      globalThis.states = [];
      globalThis.source = client.connect('${url}', { share: client.tabs('${name}'), ${options} });
      source.on('message', (data) => got.push(data)).on('sse.state', (state) => states.push(state));
    `);
    await until(
      () => page.evaluate<string>('source.state'),
      (state) => ['open', 'failed'].includes(state),
    );
    return page;
  }

  async openTabs(count: number): Promise<Page[]> {
    const pages: Page[] = [];
    for (let n = 0; n < count; n++) pages.push(await this.open());
    await this.shared();
    return pages;
  }

  /** Waits until exactly one tab leads. */
  async leaderOf(pages: readonly Page[]): Promise<Page> {
    const look = () => Promise.all(pages.map((page) => page.evaluate<boolean>('globalThis.leads === true')));
    const leads = await until(look, (seen) => seen.filter(Boolean).length === 1);
    return pages[leads.indexOf(true)]!;
  }

  async publish(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await this.sse.publish(this.#published++, { channel: 'a' });
  }

  /** Publishes all the time, until the task has ended. */
  async publishDuring(task: () => Promise<unknown>): Promise<void> {
    const over = new AbortController();
    const publishing = (async () => {
      while (!over.signal.aborted) {
        await this.publish(1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await task().finally(() => over.abort());
    await publishing;
  }

  /** What a page gets once it has the last published number. */
  async gotBy(page: Page): Promise<unknown> {
    await until(
      () => page.evaluate<number>('got.at(-1) ?? -1'),
      (last) => last >= this.#published - 1,
    );
    return page.evaluate('got');
  }

  /** All published numbers, from one on. */
  numbers(from = 0): number[] {
    return Array.from({ length: this.#published - from }, (_, n) => from + n);
  }

  /** Waits until a page has a number that was published after now. @returns how long that took, in ms */
  async goesOn(page: Page): Promise<number> {
    const [since, from] = [performance.now(), this.#published];
    await until(
      () => page.evaluate<number>('got.at(-1) ?? -1'),
      (last) => last > from,
    );
    return performance.now() - since;
  }
}

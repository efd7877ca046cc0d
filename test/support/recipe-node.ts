import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  Inject,
  type ModuleMetadata,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import type { BrowserContext, Request } from 'playwright-core';
import { type Platform, startApp } from './app.js';
import { redisUrl } from './redis.js';
import { Relay } from './relay.js';
import { until } from './until.js';

/** Serves the page of a test. */
@Controller('page')
class PageController {
  constructor(@Inject('html') private readonly html: string) {}

  @Get()
  @Header('content-type', 'text/html')
  page() {
    return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${this.html}`;
  }
}

export interface NodeOptions extends ModuleMetadata {
  prefix: string;
  html?: string;
  /** Of all requests. If it loses its `id`, they are refused with 403. */
  user?: { id?: string; [key: string]: unknown };
  sse?: SseModuleOptions;
}

/** One of the nodes of an application, behind a relay. All of its requests are of one user. */
export async function startNode(
  platform: Platform,
  { prefix, html = '', user = { id: 'ann' }, sse: options, controllers = [], providers = [] }: NodeOptions,
) {
  const guard: CanActivate = {
    canActivate(context: ExecutionContext) {
      Object.assign(context.switchToHttp().getRequest<object>(), { user });
      return Boolean(user.id);
    },
  };
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot({ redis: redisUrl(), prefix, retryMs: 100, ...options })],
    controllers: [PageController, ...controllers],
    providers: [{ provide: 'html', useValue: html }, { provide: APP_GUARD, useValue: guard }, ...providers],
  });
  return { app, url, sse: app.get(SseService), relay: await Relay.start(url) };
}

/** Keeps what an element has shown in `seen`. */
export const observe = (selector: string) => `
  globalThis.seen = [];
  new MutationObserver(() => {
    const shown = document.querySelector('${selector}')?.textContent.trim();
    if (shown && shown !== seen.at(-1)) seen.push(shown);
  }).observe(document, { subtree: true, childList: true });
`;

/** The page of a node, through its relay, and the paths of its requests that have ended. */
export async function openPage(context: BrowserContext, { relay }: { relay: Relay }) {
  const page = await context.newPage();
  const errors: string[] = [];
  const ended: string[] = [];
  page.on('pageerror', ({ message }) => errors.push(message));
  const end = (request: Request) => ended.push(new URL(request.url()).pathname);
  page.on('requestfinished', end).on('requestfailed', end);
  await page.goto(`${relay.url}/page`);
  const seen = () => page.evaluate<string[]>('seen');
  return { page, errors, ended, seen, text: (selector: string) => page.textContent(selector) };
}

/** Until a client of each node is connected. */
export const connected = (nodes: { relay: Relay }[]) =>
  until(() => nodes.every(({ relay }) => relay.responses.includes('event: sse.open')));
/** Until each page shows the text. */
export const shows = (
  pages: { text: (selector: string) => Promise<string | null> }[],
  selector: string,
  expected: string,
) =>
  until(
    () => Promise.all(pages.map(({ text }) => text(selector))),
    (texts) => texts.every((text) => text === expected),
  );

/** Holds back a route's answers after they have been computed. */
export class Gate {
  #open: Promise<unknown> = Promise.resolve();
  #release = () => {};
  /** How many answers have been computed. */
  passed = 0;

  close(): void {
    this.#open = new Promise<void>((resolve) => (this.#release = resolve));
  }

  open(): void {
    this.#release();
  }

  async pass<T>(answer: T): Promise<T> {
    this.passed++;
    await this.#open;
    return answer;
  }
}

import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import type { SseState } from '../../src/client/index.js';
import { bundleClient } from './client-bundle.js';
import { until } from './until.js';

/** The client, with the factory whose delays may be shorter. */
export const clientScript = (): Promise<string> => bundleClient('index', 'source');

/** What the source of a page has delivered and reported so far. */
export interface Seen {
  readonly got: unknown[];
  /** Its states, with the reason of each: a status, or the name of an error. */
  readonly states: string[];
  readonly state: SseState;
}

/** A page in Chromium, and one source of it. */
export class ClientPage {
  private constructor(
    readonly page: Page,
    readonly devtools: CDPSession,
  ) {}

  static async open(context: BrowserContext, script: string, url: string): Promise<ClientPage> {
    const page = await context.newPage();
    await page.goto(url);
    await page.addScriptTag({ content: script });
    return new ClientPage(page, await context.newCDPSession(page));
  }

  /**
   * @param options the source text of an object
   * @param secondMs how long a second of the delays is
   */
  async connect(url: string, secondMs: number, options = '{}'): Promise<void> {
    await this.page.evaluate(`
      globalThis.got = [];
      globalThis.states = [];
      globalThis.source = client.createSource(${JSON.stringify(url)}, ${options}, ${secondMs});
      source.on('message', (data) => got.push(data));
      source.on('sse.state', (state) => {
        const { error } = source;
        states.push(error ? state + ' ' + (error.status ?? error.name) : state);
      });
    `);
  }

  seen(): Promise<Seen> {
    return this.page.evaluate('({ got, states, state: source.state })');
  }

  /** Waits until the source has delivered so many events. */
  has(count: number): Promise<Seen> {
    return until(
      () => this.seen(),
      ({ got }) => got.length >= count,
    );
  }

  /** Waits until the source has a state. */
  is(expected: SseState): Promise<Seen> {
    return until(
      () => this.seen(),
      ({ state }) => state === expected,
    );
  }

  /** Waits until the page is hidden or shown. */
  isHidden(expected: boolean): Promise<unknown> {
    return until(
      () => this.page.evaluate('document.hidden'),
      (hidden) => hidden === expected,
    );
  }
}

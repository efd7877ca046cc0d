import type { BrowserContext, Locator, Page } from 'playwright-core';

/** The page of the sample, in a browser. */
export class SamplePage {
  /** Errors of scripts, and what scripts write to the console as an error. */
  readonly problems: string[] = [];
  /** The browser writes each to the console, too. */
  readonly failedRequests: string[] = [];
  readonly origins = new Set<string>();
  readonly a: SampleClient;
  readonly b: SampleClient;

  private constructor(readonly page: Page) {
    [this.a, this.b] = ['a', 'b'].map((name) => new SampleClient(page.locator(`#client-${name}`))) as [
      SampleClient,
      SampleClient,
    ];
    page.on('pageerror', ({ message }) => this.problems.push(message));
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      const isRequest = message.text().startsWith('Failed to load resource');
      (isRequest ? this.failedRequests : this.problems).push(message.text());
    });
    page.on('request', (request) => {
      if (request.url().startsWith('http')) this.origins.add(new URL(request.url()).origin);
    });
    page.setDefaultTimeout(60_000);
  }

  static async open(context: BrowserContext, url: string, search = ''): Promise<SamplePage> {
    const opened = new SamplePage(await context.newPage());
    await opened.page.goto(url + search);
    return opened;
  }

  /** The state of the broker that the page shows. */
  broker(state: string): Promise<void> {
    return this.page.locator(`#broker[data-state=${state}]`).waitFor();
  }

  /** @param button the node: 0 is that of client A, 1 that of client B */
  async publish(fields: Record<string, string>, button = 0): Promise<void> {
    for (const [name, value] of Object.entries(fields)) {
      await this.page.fill(`#publish [name=${name}]`, value);
    }
    await this.page.click(`#publish button[value="${button}"]`);
  }

  /** Replaces the answer of the browser about the visibility of the tab: without a window, all tabs are visible. */
  async setHidden(isHidden: boolean): Promise<void> {
    await this.page.evaluate(`
      Object.defineProperty(document, 'hidden', { configurable: true, value: ${isHidden} });
      document.dispatchEvent(new Event('visibilitychange'));
    `);
  }
}

/** One of the two clients on the page. */
export class SampleClient {
  constructor(readonly root: Locator) {}

  state(state: string): Promise<void> {
    return this.root.and(this.root.page().locator(`[data-state=${state}]`)).waitFor();
  }

  event(text: string, kind = ''): Locator {
    return this.root.locator(`.events li${kind}`, { hasText: text }).first();
  }

  /** The data of all events, the newest first. */
  texts(): Promise<string[]> {
    return this.root.locator('.events .data').allTextContents();
  }

  text(selector: string): Promise<string | null> {
    return this.root.locator(selector).textContent();
  }

  click(selector: string): Promise<void> {
    return this.root.locator(selector).click();
  }

  async subscribe(route: string, channel: string): Promise<void> {
    await this.root.locator('[name=route]').selectOption(route);
    await this.root.locator('[name=channel]').fill(channel);
    await this.click('.subscription button');
    await this.state('open');
  }
}

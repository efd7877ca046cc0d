import { type BrowserContext, type BrowserContextOptions, chromium } from 'playwright-core';

/**
 * Debian's Chromium, as root, and without what it does of its own accord. The tests of a file share one context:
 * another one takes two seconds of a core.
 */
export async function launchChromium(options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-sync',
    ],
  });
  return browser.newContext(options);
}

/** After a test: closes its pages, and forgets its cookies. */
export async function closePages(context: BrowserContext): Promise<void> {
  await Promise.all(context.pages().map((page) => page.close()));
  await context.clearCookies();
}

import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type LaunchOptions,
} from 'playwright-core';

/**
 * Debian's Chromium, as root, without background activity. The tests of a file share one context, because a new
 * one takes two seconds of CPU.
 */
export async function launchChromium(
  options: BrowserContextOptions = {},
  launchOptions: LaunchOptions = {},
): Promise<BrowserContext> {
  const browser = await chromium.launch({
    ...launchOptions,
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

/** Runs after a test: closes its pages, and deletes its cookies. */
export async function closePages(context: BrowserContext): Promise<void> {
  await Promise.all(context.pages().map((page) => page.close()));
  await context.clearCookies();
}

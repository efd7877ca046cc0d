import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type LaunchOptions,
} from 'playwright-core';
import { until } from './until.js';

const CHROMIUM = '/usr/bin/chromium';
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-sync',
];

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
    executablePath: CHROMIUM,
    args: ARGS,
  });
  return browser.newContext(options);
}

/** Chromium whose tabs are hidden, shown and frozen as users have them. To Playwright's own pages, none of that happens. */
export async function launchTabs(): Promise<{ context: BrowserContext; close(): void }> {
  const profile = mkdtempSync(join(tmpdir(), 'sse-chromium-'));
  const args = [...ARGS, '--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`];
  const child = spawn(CHROMIUM, args, { stdio: 'ignore', detached: true });
  const file = join(profile, 'DevToolsActivePort');
  const port = await until(() => (existsSync(file) ? readFileSync(file, 'utf8').split('\n')[0] : ''));
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  return {
    context: browser.contexts()[0]!,
    close: () => {
      process.kill(-child.pid!, 'SIGKILL');
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Runs after a test: closes its pages, and deletes its cookies. */
export async function closePages(context: BrowserContext): Promise<void> {
  await Promise.all(context.pages().map((page) => page.close()));
  await context.clearCookies();
}

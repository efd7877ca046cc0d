/** The clients that are compared, and the browser for them. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, stop } from 'esbuild';
import { chromium } from 'playwright-core';

/** `id` is the name in `page.js`. */
export const CLIENTS = [
  { id: 'own', name: 'this client' },
  { id: 'fetchEventSource', name: 'fetch-event-source', pkg: '@microsoft/fetch-event-source' },
  { id: 'fetchEventSourceHandlers', name: 'the same, with the handlers of its README' },
  { id: 'eventsourceClient', name: 'eventsource-client', pkg: 'eventsource-client' },
  { id: 'native', name: '`EventSource`' },
  { id: 'reconnecting', name: 'reconnecting-eventsource', pkg: 'reconnecting-eventsource' },
];

/** `page.js` as the global `bench` of a page. */
export async function pageScript() {
  const { outputFiles } = await build({
    entryPoints: ['bench/client/page.js'],
    bundle: true,
    format: 'iife',
    globalName: 'bench',
    write: false,
  });
  await stop();
  return outputFiles[0].text;
}

/** Starts Chromium itself: pages that Playwright starts always count as shown. */
export async function launch() {
  const profile = mkdtempSync(join(tmpdir(), 'sse-bench-'));
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'];
  args.push('--remote-debugging-port=0', `--user-data-dir=${profile}`);
  const child = spawn('/usr/bin/chromium', args, { stdio: 'ignore', detached: true });
  const file = join(profile, 'DevToolsActivePort');
  while (!existsSync(file) || readFileSync(file).length === 0) await sleep(50);
  const [port] = readFileSync(file, 'utf8').split('\n');
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  return {
    context: browser.contexts()[0],
    version: browser.version(),
    close: () => {
      process.kill(-child.pid, 'SIGKILL');
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

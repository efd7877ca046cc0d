import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { launchTabs } from './support/chromium.js';
import { ClientPage, clientScript } from './support/client-page.js';
import { resuming, ScriptedServer, stream } from './support/scripted-server.js';
import { until } from './support/until.js';

const EVENTS = [1, 2, 3].map((n) => `id: ${n}\ndata: ${n}\n\n`);
const SECOND_MS = 10;
/** No delay of a source and no check of a connection ends during a test. */
const NEVER_MS = 3_600_000;
const HEARTBEAT_MS = 100;

describe('In Chromium, a source of a page', () => {
  let script: string;
  let context: BrowserContext;
  let browser: Awaited<ReturnType<typeof launchTabs>>;
  const pages: ClientPage[] = [];
  beforeAll(async () => {
    script = await clientScript();
    browser = await launchTabs();
    context = browser.context;
  });
  afterEach(() => Promise.all(pages.splice(0).map(({ page }) => page.close())));
  afterAll(() => browser.close());

  const connected = async (server: ScriptedServer, secondMs: number) => {
    const page = await ClientPage.open(context, script, server.page);
    pages.push(page);
    await show(page);
    await page.connect(server.url, secondMs);
    await page.has(1);
    return page;
  };
  /** Shows the tab that Chromium opened when it started. */
  const hide = async (page: ClientPage) => {
    await context.pages()[0]!.bringToFront();
    await page.isHidden(true);
  };
  const show = async (page: ClientPage) => {
    await page.page.bringToFront();
    await page.isHidden(false);
  };
  /** Until a connection without heartbeats counts as lost. */
  const silence = async () => {
    const since = performance.now();
    await until(() => performance.now() - since > 10 * HEARTBEAT_MS);
  };

  it('that is hidden stays connected, and delivers events', async () => {
    const server = await ScriptedServer.start(stream(EVENTS[0]));
    const page = await connected(server, 1_000);
    await hide(page);
    for (const response of server.open) response.write(EVENTS[1]);
    expect(await page.has(2)).toMatchObject({ got: [1, 2], states: ['open'] });
    await show(page);
    expect((await page.seen()).states).toEqual(['open']);
    expect(server.requests).toHaveLength(1);
  });

  it('that is shown again checks its connection at once, and makes the next attempt at once', async () => {
    const first = stream(`retry: ${NEVER_MS}\n:heartbeat ${HEARTBEAT_MS}\n${EVENTS[0]}`);
    const server = await ScriptedServer.start(first, resuming(EVENTS));
    const page = await connected(server, NEVER_MS);
    await hide(page);
    await silence();
    expect((await page.seen()).states).toEqual(['open']);
    await show(page);
    expect((await page.is('waiting')).states).toEqual(['open', 'waiting Error']);
    await hide(page);
    await show(page);
    expect((await page.has(3)).got).toEqual([1, 2, 3]);
    expect(server.ids).toEqual(['-', '1']);
  });

  it('that was frozen for longer than its connection lasted resumes when it runs again', async () => {
    const first = stream(`retry: 1\n:heartbeat ${HEARTBEAT_MS}\n${EVENTS[0]}`);
    const server = await ScriptedServer.start(first, resuming(EVENTS));
    const page = await connected(server, SECOND_MS);
    await page.devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
    await silence();
    // Its timers stand still.
    expect(server.requests).toHaveLength(1);
    await page.devtools.send('Page.setWebLifecycleState', { state: 'active' });
    expect(await page.has(3)).toMatchObject({
      got: [1, 2, 3],
      states: ['open', 'waiting Error', 'connecting Error', 'open'],
    });
    expect(server.ids).toEqual(['-', '1']);
  });
});

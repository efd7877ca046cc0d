import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { SseModule, SseStreams } from 'nestjs-sse-channels';
import type { BrowserContext } from 'playwright-core';
import { platforms, startApp } from './support/app.js';
import { closePages, launchChromium } from './support/chromium.js';
import { EndingPageController, watchRequests } from './support/ending-page.js';
import { startHeld, StreamsController } from './support/streams-app.js';
import { until } from './support/until.js';

describe.each(platforms)('The EventSource of Chromium on %s', (_, platform) => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await launchChromium();
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  it('gets sse.end, reconnects once, gets 204, and stays closed', async () => {
    let requests: string[] = [];
    const { app, url } = await startApp(
      platform,
      {
        imports: [SseModule.forRoot({ retryMs: 100 })],
        controllers: [StreamsController, EndingPageController],
      },
      (configured) => (requests = watchRequests(configured)),
    );
    const { out, release } = await startHeld(app.get(SseStreams), 'a');
    out.write('text');
    const page = await context.newPage();
    await page.goto(`${url}/page`);
    const { seen } = app.get(EndingPageController);
    await until(() => seen.includes('message text'));
    release();
    await until(() => seen.includes('closed'));
    // Several times as long as until a reconnection.
    await page.waitForTimeout(1_000);
    expect(seen).toEqual(['message text', 'sse.end {"status":"done"}', 'reconnects', 'closed']);
    expect(requests).toEqual(['/streams/a 200', '/streams/a 204']);
  });
});

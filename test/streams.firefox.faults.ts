import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SseModule, SseStreams } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { EndingPageController, watchRequests } from './support/ending-page.js';
import { installMissing } from './support/global-setup.js';
import { startHeld, StreamsController } from './support/streams-app.js';
import { until } from './support/until.js';

const FIREFOX = 'firefox-esr';

describe.each(platforms)('The EventSource of Firefox on %s', (_, platform) => {
  const profile = mkdtempSync(join(tmpdir(), 'sse-firefox-'));
  beforeAll(() => installMissing([FIREFOX]));
  afterAll(() => rmSync(profile, { recursive: true, force: true }));

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
    const args = ['--headless', '--no-remote', '--profile', profile, `${url}/page`];
    const firefox = spawn(FIREFOX, args, { stdio: 'ignore', detached: true });
    const { seen } = app.get(EndingPageController);
    await until(() => seen.includes('message text'));
    release();
    await until(() => seen.includes('closed'));
    // Several times as long as until a reconnection.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    process.kill(-firefox.pid!, 'SIGKILL');
    expect(seen).toEqual(['message text', 'sse.end {"status":"done"}', 'reconnects', 'closed']);
    expect(requests).toEqual(['/streams/a 200', '/streams/a 204']);
  });
});

import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { AT_ONCE_MS, start, WATCH_MS } from './support/proxied-app.js';
import { ReverseProxy } from './support/reverse-proxy.js';
import { until, within } from './support/until.js';

describe('nginx', () => {
  const gzip = { 'application/json;': 'application/json text/event-stream;' };
  const buffered = {
    'proxy_http_version 1.1;': 'proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering;',
  };

  it('would buffer even response headers up to 16 KiB without X-Accel-Buffering', async () => {
    const { sse, url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start('nginx', [url], buffered);
    const opening = proxy.connect('/channel');
    await until(() => sse.stats().connections === 1);
    await expect(within(WATCH_MS, 'The response headers', opening)).rejects.toThrow(
      'The response headers: not within',
    );
    await sse.publish('x'.repeat(20_000));
    expect(await (await opening).next()).toMatchObject({ event: 'sse.open' });
  });

  it('compresses event streams if configured, and still forwards each event at once', async () => {
    const { sse, url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start('nginx', [url], gzip);
    const { response } = await proxy.connect('/channel', { 'accept-encoding': 'gzip' });
    expect(response.headers['content-encoding']).toBe('gzip');
    // The client decodes the compressed bytes as text, so that each chunk changes it.
    let text = '';
    response.removeAllListeners('data').on('data', (chunk: string) => (text += chunk));
    for (let n = 0; n < 3; n++) {
      const { length } = text;
      await sse.publish(n);
      await until(() => text.length > length, Boolean, AT_ONCE_MS);
    }
  });
});

import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { createGunzip, gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { platforms } from './support/app.js';
import { orderOf, startCompressed } from './support/compressed-app.js';
import { connectGzip } from './support/gzip-client.js';
import { startHeld, stores } from './support/streams-app.js';
import { until } from './support/until.js';

const compression = { minBytes: 200 };
/** Also a chunk of the AI SDK. */
const chunkOf = (n: number, bytes: number) => ({ type: 'data-order', ...orderOf(n, bytes) });

describe.each(platforms)('A compressed stream on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, store) => {
    it.each(['streams', 'chunks'])(
      'is read event by event, and ends with its trailer (/%s)',
      async (path) => {
        const { url, streams } = await startCompressed(platform, { compression, ...store() });
        const { out, release, handle } = await startHeld(streams, 'job');
        out.write(chunkOf(0, 500));
        const client = await connectGzip(`${url}/${path}?id=job`);
        expect(client.response.headers['content-encoding']).toBe('gzip');
        for (let n = 1; n < 4; n++) {
          await until(() => client.text.includes(`"number":${n - 1},`));
          out.write(chunkOf(n, n === 2 ? 10 : 2_000));
        }
        await until(() => client.text.includes('"number":3,'));
        release();
        await handle.done;
        await until(() => client.end);
        expect(client.end).toBe('complete');
        expect(gunzipSync(client.wire).toString()).toBe(client.text);
        const again = await connectGzip(`${url}/streams?id=job`);
        await until(() => again.end);
        expect(again.events.map(({ event }) => event).at(-1)).toBe('sse.end');
        expect(again.end).toBe('complete');
      },
    );
  });

  it('has no trailer in a format if its connection ends before the stream', async () => {
    const { url, streams, sse } = await startCompressed(platform, { compression });
    const { out } = await startHeld(streams, 'cut');
    out.write(chunkOf(0, 500));
    const client = await connectGzip(`${url}/chunks?id=cut`);
    await until(() => client.text.includes('"number":0,'));
    await sse.disconnect({ channel: 'cut' }, { refuseMs: 0 });
    await until(() => client.end);
    expect(client.end).toBe('broken');
  });

  it('is a whole response of the request that starts it', async () => {
    const { url } = await startCompressed(platform, { compression });
    const response = await fetch(`${url}/count?id=all`, {
      method: 'POST',
      headers: { 'accept-encoding': 'gzip' },
    });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const text = await response.text();
    expect(text.match(/"number":/g)).toHaveLength(50);
    expect(text).toMatch(/event: sse\.end\n[^]*\n\n$/);
  });
});

describe('Compressed events', () => {
  const ends: (() => void)[] = [];
  afterEach(() => ends.splice(0).forEach((end) => end()));
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => readFileSync(`test/support/tls/${name}`));

  it('are read at once, up to the trailer, over HTTP/2', async () => {
    const { app, url, sse } = await startCompressed(() => new FastifyAdapter({ http2: true }), {
      compression,
    });
    const session = connectHttp2(url);
    ends.push(() => session.destroy());
    const request = session.request({ ':path': '/channel', 'accept-encoding': 'gzip' });
    let [text, end] = ['', ''];
    const gunzip = request.pipe(createGunzip()).setEncoding('utf8');
    gunzip.on('data', (chunk: string) => (text += chunk));
    gunzip.on('end', () => (end = 'complete')).on('error', () => (end = 'broken'));
    const headers = new Promise((resolve) => request.once('response', resolve));
    expect(await headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    for (let n = 0; n < 3; n++) {
      await sse.publish(orderOf(n, 1_000 * n));
      await until(() => text.includes(`{"number":${n},`));
    }
    await app.close();
    await until(() => end);
    expect(end).toBe('complete');
  });

  it('are read at once, up to the trailer, over TLS', async () => {
    const platform = () => new FastifyAdapter({ https: { cert, key } });
    const { app, url, sse } = await startCompressed(platform, { compression });
    const client = await connectGzip(`${url.replace('http:', 'https:')}/channel`);
    await client.next();
    for (let n = 0; n < 3; n++) {
      await sse.publish(orderOf(n, 1_000 * n));
      await until(() => client.text.includes(`{"number":${n},`));
    }
    await app.close();
    await until(() => client.end);
    expect(client.end).toBe('complete');
  });
});

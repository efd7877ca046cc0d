import type { Server } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { gunzipSync, inflateRawSync, constants } from 'node:zlib';
import fastifyCompress from '@fastify/compress';
import { describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
// @ts-expect-error It has no types.
import compression from 'compression';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { orderOf, startCompressed } from './support/compressed-app.js';
import { connectGzip } from './support/gzip-client.js';
import { until } from './support/until.js';

const ALL = { compression: { minBytes: 0 } };
const GZIP = { 'accept-encoding': 'gzip' };

describe.each(platforms)('With compression on %s', (name, platform) => {
  it('a client that accepts gzip reads each event before the next one is published', async () => {
    const { url, sse } = await startCompressed(platform);
    const client = await connectGzip(`${url}/channel`);
    expect(client.response.headers).toMatchObject({
      'content-encoding': 'gzip',
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      vary: expect.stringMatching(/(^|, )Accept-Encoding$/),
    });
    await client.next();
    for (const bytes of [1, 150, 1_000, 10_000, 65_000, 66_000, 200_000]) {
      const data = orderOf(bytes, bytes);
      const before = client.wire.length;
      await sse.publish(data);
      expect(JSON.parse((await client.next()).data)).toEqual(data);
      if (bytes >= 10_000) expect(client.wire.length - before).toBeLessThan(bytes / 2);
    }
  });

  it('all clients get the same bytes for the same events, whatever they got before', async () => {
    const { url, sse } = await startCompressed(platform);
    const paths = ['/channel', '/channel', '/channel?channel=sse&channel=other'];
    const [first, second, third] = await Promise.all(paths.map((path) => connectGzip(url + path)));
    const all = [first!, second!, third!];
    for (let n = 0; n < 5; n++) await sse.publish(orderOf(n, 500 * n));
    const last = await sse.publish('last');
    await until(() => all.every(({ text }) => text.includes('last')));
    const resuming = await connectGzip(`${url}/channel`, { 'last-event-id': last });
    const clients = [first!, second!, resuming];
    await until(() => sse.stats().connections === 4);
    await until(() => resuming.text.includes(':heartbeat'));
    const before = clients.map(({ wire }) => wire.length);
    for (const bytes of [10, 1_000]) await sse.publish(orderOf(7, bytes));
    await sse.publish('end');
    await until(() => [...all, resuming].every(({ text }) => text.includes('data: end\n')));
    const parts = clients.map(({ wire }, n) => wire.subarray(before[n]));
    expect(parts[1]!.equals(parts[0]!)).toBe(true);
    expect(parts[2]!.equals(parts[0]!)).toBe(true);
    const alone = inflateRawSync(parts[0]!, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
    expect(alone).toBe(first!.text.slice(first!.text.indexOf(alone)));
    expect(alone).toMatch(/^id: .*\ndata: \{"number":7/);
  });

  it('a client resumes in the middle, and gets the same text as one without gzip', async () => {
    const { url, sse } = await startCompressed(platform);
    const ids: string[] = [];
    for (let n = 0; n < 400; n++) ids.push(await sse.publish(orderOf(n, n % 7 === 0 ? 5_000 : 300)));
    const headers = { 'last-event-id': ids[99]! };
    const [plain, zipped] = [
      await connect(`${url}/channel`, headers),
      await connectGzip(`${url}/channel`, headers),
    ];
    await until(() => plain.events.length === 300 && zipped.events.length === 300);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.headers.vary).toMatch(/(^|, )Accept-Encoding$/);
    expect(zipped.events).toEqual(plain.events);
    expect(zipped.events.map(({ id }) => id)).toEqual(ids.slice(100));
    expect(zipped.wire.length).toBeLessThan(plain.text.length / 2);
  });

  it('the end of a response is the end of the gzip member, and a broken connection is not', async () => {
    const { app, url, sse } = await startCompressed(platform, ALL);
    const [client, other] = [await connectGzip(`${url}/channel`), await connectGzip(`${url}/channel`)];
    for (let n = 0; n < 3; n++) await sse.publish(orderOf(n, 1_000));
    await until(() => client.events.length === 4 && other.events.length === 4);
    other.response.socket.destroy();
    await app.close();
    await until(() => client.end && other.end);
    expect([client.end, other.end]).toEqual(['complete', 'broken']);
    expect(client.response.complete).toBe(true);
    expect(gunzipSync(client.wire).toString()).toBe(client.text);
  });

  it('a response over HTTP/1.0 is one gzip member', async () => {
    const { app, url, sse } = await startCompressed(platform, ALL);
    const socket = connectSocket(Number(new URL(url).port), '127.0.0.1');
    let read = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => (read = Buffer.concat([read, chunk])));
    const body = () => read.subarray(read.indexOf('\r\n\r\n') + 4);
    const text = () => gunzipSync(body(), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
    socket.write('GET /channel HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n');
    await until(() => sse.stats().connections === 1);
    await sse.publish('over HTTP/1.0');
    await until(() => read.includes('\r\n\r\n') && text().endsWith('data: over HTTP/1.0\n\n'));
    await app.close();
    await until(() => socket.destroyed);
    expect(gunzipSync(body()).toString()).toMatch(/^retry: [^]*data: over HTTP\/1\.0\n\n$/);
  });

  it('fewer bytes than `minBytes` are not compressed, and read at once', async () => {
    const { url, sse } = await startCompressed(platform, { compression: true });
    const client = await connectGzip(`${url}/channel`);
    await client.next();
    await sse.publish({ text: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' });
    await client.next();
    expect(client.wire.toString('latin1')).toContain('"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"');
    await sse.publish('a'.repeat(100_000));
    await client.next();
    expect(client.wire.length).toBeLessThan(2_000);
  });

  it('HEAD has the headers of GET, and `gzip;q=0` or no Accept-Encoding get the text as it is', async () => {
    const { url } = await startCompressed(platform);
    const head = await fetch(`${url}/channel`, { method: 'HEAD', headers: GZIP });
    expect(head.headers.get('content-encoding')).toBe('gzip');
    expect(head.headers.get('vary')).toContain('Accept-Encoding');
    for (const headers of [{}, { 'accept-encoding': 'gzip;q=0, *' }]) {
      const client = await connect(`${url}/channel`, headers as Record<string, string>);
      expect(client.headers['content-encoding']).toBeUndefined();
      expect(client.headers.vary).toContain('Accept-Encoding');
      expect(await client.next()).toMatchObject({ event: 'sse.open' });
    }
  });

  it('`Vary` keeps what the route has set', async () => {
    const { url } = await startCompressed(platform);
    const client = await connectGzip(`${url}/varied`);
    expect(client.response.headers.vary).toBe('Cookie, Accept-Encoding');
  });

  it('a route that sets the encoding `identity` is not compressed', async () => {
    const { url, sse } = await startCompressed(platform, ALL);
    const client = await connect(`${url}/secret`, GZIP);
    await client.next();
    expect(client.headers['content-encoding']).toBeUndefined();
    await sse.publish('as it is');
    expect(await client.next()).toMatchObject({ data: 'as it is' });
  });

  it('a route that sets another encoding gets events as they are, and on Express the header', async () => {
    const { url } = await startCompressed(platform, ALL);
    const client = await connect(`${url}/encoded`, GZIP);
    expect(client.headers['content-encoding']).toBe(name === 'Express' ? 'br' : undefined);
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
  });

  it('middleware that compresses leaves events compressed once', async () => {
    const { url, sse } = await startCompressed(platform, ALL, (app: INestApplication) => {
      if (name === 'Express') app.use(compression({ threshold: 0 }));
      else void (app as NestFastifyApplication).register(fastifyCompress, { threshold: 0 });
    });
    expect((await fetch(`${url}/page`, { headers: GZIP })).headers.get('content-encoding')).toBe('gzip');
    const client = await connectGzip(`${url}/channel`);
    expect(client.response.headers['content-encoding']).toBe('gzip');
    expect(client.response.headers.vary).toMatch(/^Accept-Encoding$/i);
    await client.next();
    await sse.publish(orderOf(1, 1_000));
    expect((await client.next()).data).toContain('"number":1');
    await sse.disconnect({ channel: 'sse' }, { refuseMs: 0 });
    await until(() => client.end);
    expect(client.end).toBe('complete');
  });

  it('a write() that other code has wrapped gets the compressed bytes, up to the trailer', async () => {
    const written: Buffer[] = [];
    const { url, sse } = await startCompressed(platform, ALL, (app) => {
      (app.getHttpServer() as Server).prependListener('request', (_, response) => {
        const write = response.write.bind(response) as (chunk: Buffer) => boolean;
        response.write = ((chunk: Buffer) => {
          written.push(chunk);
          return write(chunk);
        }) as typeof response.write;
      });
    });
    const client = await connectGzip(`${url}/channel`);
    await client.next();
    await sse.publish('wrapped');
    await client.next();
    await sse.disconnect({ channel: 'sse' }, { refuseMs: 0 });
    await until(() => client.end === 'complete');
    expect(gunzipSync(Buffer.concat(written)).toString()).toBe(client.text);
  });
});

import { once } from 'node:events';
import { get, type Server } from 'node:http';
import fastifyCompress from '@fastify/compress';
import { describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication, Query } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
// @ts-expect-error It has no types.
import compression from 'compression';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { chunksOf, connectRaw } from './support/raw-connection.js';
import { until } from './support/until.js';

@Controller()
class WritesController {
  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @SseChannel('even')
  even() {
    const filter = ({ data }: { data: unknown }) => {
      if (data === 'boom') throw new Error('This filter fails');
      return Number(data) % 2 === 0;
    };
    return { channel: 'sse', filter };
  }

  @Get('plain')
  async plain() {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return 'the answer';
  }
}

const start = (platform: Platform, configure?: (app: INestApplication) => void, options = {}) =>
  startApp(platform, { imports: [SseModule.forRoot(options)], controllers: [WritesController] }, configure);

describe.each(platforms)('Writes to the socket on %s', (name, platform) => {
  it('send each client all events of one turn of the event loop as one chunk', async () => {
    const { app, url } = await start(platform);
    const paths = ['/channel', '/channel', '/even', '/channel?channel=sse&channel=other'];
    const clients = await Promise.all(
      paths.map((path) => connectRaw(url, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)),
    );
    const sse = app.get(SseService);
    await Promise.all(Array.from({ length: 10 }, (_, n) => sse.publish(n)));
    await Promise.all(
      clients.map(({ text }) => until(() => /data: [89]\n\n\r\n(?![^]*data: 9)/.test(text()))),
    );
    for (const [index, { socket, text }] of clients.entries()) {
      const chunks = chunksOf(text());
      for (const [, length, bytes] of chunks) expect(parseInt(length!, 16)).toBe(bytes!.length);
      const data = [...chunks.at(-1)![2]!.matchAll(/^data: (.*)$/gm)].map(([, value]) => Number(value));
      expect(data).toEqual(index === 2 ? [0, 2, 4, 6, 8] : [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      socket.destroy();
    }
  });

  it('wait for the response to an earlier request on the same connection', async () => {
    const { app, url } = await start(platform);
    const requests = ['/plain', '/channel'].map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const { socket, text } = await connectRaw(url, requests.join(''));
    await app.get(SseService).publish('event');
    await until(() => text().includes('data: event\n\n'));
    expect(text().match(/the answer|sse\.open|data: event/g)).toEqual([
      'the answer',
      'sse.open',
      'data: event',
    ]);
    socket.destroy();
  });

  it('end the response properly, so that a client can distinguish it from a broken connection', async () => {
    const { app, url } = await start(platform);
    const client = await connect(`${url}/channel`);
    await client.next();
    await app.get(SseService).publish('last');
    await app.close();
    await until(() => client.ended);
    expect(client.response.complete).toBe(true);
    expect(client.events.at(-1)).toMatchObject({ data: 'last' });
  });

  it('are not delayed by compression', async () => {
    const compress = (app: INestApplication) => {
      if (name === 'Express') app.use(compression({ threshold: 0 }));
      else void (app as NestFastifyApplication).register(fastifyCompress, { threshold: 0 });
    };
    const { app, url } = await start(platform, compress);
    const headers = { 'accept-encoding': 'gzip' };
    const [response] = await once(get(`${url}/plain`, { headers }), 'response');
    expect(response.resume().headers['content-encoding']).toBe('gzip');
    const client = await connect(`${url}/channel`, headers);
    expect(client.headers['content-encoding']).toBeUndefined();
    await client.next();
    await app.get(SseService).publish('at once');
    expect(await client.next()).toMatchObject({ data: 'at once' });
  });

  /** Wraps `write()` of the responses of a path. `onWrite` gets each chunk, and may throw. */
  const withWrite = (path: string, onWrite: (chunk: string) => void) => (app: INestApplication) =>
    void (app.getHttpServer() as Server).prependListener('request', ({ url }, response) => {
      const write = response.write.bind(response) as (chunk: Buffer) => boolean;
      if (url !== path) return;
      response.write = ((chunk: Buffer) => {
        onWrite(chunk.toString());
        return write(chunk);
      }) as typeof response.write;
    });
  const fail = () => {
    throw new Error('This write fails');
  };

  it('use a write() that other code has wrapped, and that may throw', async () => {
    const written: string[] = [];
    const onWrite = (chunk: string) => void (written.push(chunk) > 3 && fail());
    const { app, url } = await start(platform, withWrite('/even', onWrite));
    const [client, other] = await Promise.all([connect(`${url}/even`), connect(`${url}/channel`)]);
    await Promise.all([client.next(), other.next()]);
    const sse = app.get(SseService);
    await sse.publish(2);
    expect(await client.next()).toMatchObject({ data: '2' });
    expect(written).toHaveLength(3);
    await sse.publish(4);
    await until(() => client.ended && sse.stats().connections === 1);
    expect((await other.take(2)).map(({ data }) => data)).toEqual(['2', '4']);
  });

  it('affect no other client if a wrapped write() throws at the end of a response or in a history page', async () => {
    let fails = false;
    const onWrite = () => void (fails && fail());
    const { app, url } = await start(platform, withWrite('/even', onWrite));
    const sse = app.get(SseService);
    const first = await sse.publish('0');
    const [client, other] = await Promise.all([connect(`${url}/even`), connect(`${url}/channel`)]);
    await Promise.all([client.next(), other.next()]);
    fails = true;
    // In one turn: the second event makes the filter throw, which ends the response while the first is still buffered.
    await Promise.all(['2', 'boom', '3'].map((data) => sse.publish(data)));
    await until(() => client.ended);
    expect((await other.take(3)).map(({ data }) => data)).toEqual(['2', 'boom', '3']);
    for (let n = 0; n < 300; n++) await sse.publish(n);
    const reconnecting = connect(`${url}/even`, { 'last-event-id': first });
    await expect(reconnecting).rejects.toThrow('socket hang up');
    await other.take(300);
  });

  it('send each client a different reconnection time, around `retryMs`', async () => {
    const { url } = await start(platform, undefined, { retryMs: 8_000 });
    const clients = await Promise.all(Array.from({ length: 16 }, () => connect(`${url}/channel`)));
    await Promise.all(clients.map((client) => client.next()));
    const times = clients.map(({ text }) => Number(/^retry: (\d+)\n/.exec(text)![1]));
    expect(new Set(times).size).toBe(16);
    for (const time of times) expect(Math.abs(time - 8_000)).toBeLessThanOrEqual(4_000);
  });
});

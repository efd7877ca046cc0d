import { setImmediate as turn } from 'node:timers/promises';
import { once } from 'node:events';
import { get, type Server } from 'node:http';
import { connect as connectSocket, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import fastifyCompress from '@fastify/compress';
import { describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication, Query } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
// @ts-expect-error It comes without types.
import compression from 'compression';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
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

/** A client that sees every byte behind the first head. */
async function connectRaw(url: string, request: string): Promise<{ socket: Socket; text: () => string }> {
  const socket = connectSocket(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  socket.write(request);
  await until(() => text.includes('sse.open'));
  return { socket, text: () => text };
}

const chunksOf = (text: string) => [...text.matchAll(/^([\da-f]+)\r\n([^]*?\n)\r\n/gm)];

describe.each(platforms)('What goes to the socket on %s', (name, platform) => {
  it('is one chunk for all events of a turn of the event loop, for each of its clients', async () => {
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

  it('comes behind the answer to an earlier request of the same connection', async () => {
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

  it('ends as a whole, so that a client can tell it from a broken connection', async () => {
    const { app, url } = await start(platform);
    const client = await connect(`${url}/channel`);
    await client.next();
    await app.get(SseService).publish('last');
    await app.close();
    await until(() => client.ended);
    expect(client.response.complete).toBe(true);
    expect(client.events.at(-1)).toMatchObject({ data: 'last' });
  });

  it('is not held back by compression', async () => {
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

  /** A `write()` of somebody's own on the responses of a path, which is told of each chunk, and may throw. */
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

  it('goes through a write() that somebody has put in front, and that may fail', async () => {
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
    await until(() => client.ended && sse.stats().streams === 1);
    expect((await other.take(2)).map(({ data }) => data)).toEqual(['2', '4']);
  });

  it('harms nobody else where it fails with the end of a stream, or with a page of history', async () => {
    let fails = false;
    const onWrite = () => void (fails && fail());
    const { app, url } = await start(platform, withWrite('/even', onWrite));
    const sse = app.get(SseService);
    const first = await sse.publish('0');
    const [client, other] = await Promise.all([connect(`${url}/even`), connect(`${url}/channel`)]);
    await Promise.all([client.next(), other.next()]);
    fails = true;
    // In one turn: the second makes the filter throw, and so ends the stream that has the first still to send.
    await Promise.all(['2', 'boom', '3'].map((data) => sse.publish(data)));
    await until(() => client.ended);
    expect((await other.take(3)).map(({ data }) => data)).toEqual(['2', 'boom', '3']);
    for (let n = 0; n < 300; n++) await sse.publish(n);
    const returning = connect(`${url}/even`, { 'last-event-id': first });
    await expect(returning).rejects.toThrow('socket hang up');
    await other.take(300);
  });

  it('tells each client another time to come back after, around `retryMs`', async () => {
    const { url } = await start(platform, undefined, { retryMs: 8_000 });
    const clients = await Promise.all(Array.from({ length: 16 }, () => connect(`${url}/channel`)));
    await Promise.all(clients.map((client) => client.next()));
    const times = clients.map(({ text }) => Number(/^retry: (\d+)\n/.exec(text)![1]));
    expect(new Set(times).size).toBe(16);
    for (const time of times) expect(Math.abs(time - 8_000)).toBeLessThanOrEqual(4_000);
  });
});

describe('A client that comes back', () => {
  /** It was here, for so many channels, and has gone with its position in all of them. */
  const visit = async (url: string, count: number) => {
    const names = Array.from({ length: count }, (_, n) => `c${n}`);
    const stream = `${url}/channel?${names.map((name) => `channel=${name}`).join('&')}`;
    const before = await connect(stream);
    const { id } = await before.next();
    before.close();
    return { names, stream, headers: { 'last-event-id': id! } };
  };

  it.each([
    ['in memory', () => ({})],
    ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
  ])('is not cut for what it missed on several channels, %s', async (_, options) => {
    const history = { maxEvents: 1_000, maxReplayBytes: 2 ** 30 };
    const { app, url } = await start(platforms[0][1], undefined, {
      ...options(),
      history,
      heartbeatMs: 1_000,
    });
    const sse = app.get(SseService);
    const { names, stream, headers } = await visit(url, 12);
    for (let n = 0; n < 20; n++) {
      await Promise.all(names.map((channel) => sse.publish(`${n}`.padEnd(100_000), { channel })));
    }
    const client = await connect(stream, headers);
    await client.take(12 * 20);
    expect(sse.stats().cut).toBe(0);
  });

  it.each([
    ['', 'the same channels'],
    ['&channel=new', 'one more'],
  ])(
    'is not cut for what this process holds, although it does not read that at once%s (%s)',
    async (more) => {
      const { app, url } = await start(platforms[0][1]);
      const sse = app.get(SseService);
      const { names, stream, headers } = await visit(url, 30);
      for (const name of names) {
        for (let n = 0; n < 2; n++) await sse.publish(`${n}`.padEnd(125_000), { channel: name });
      }
      const client = await connect(stream + more, headers);
      client.response.pause();
      await sse.publish('live', { channel: 'c0' });
      // It is written at the end of a turn.
      for (let n = 0; n < 3; n++) await turn();
      expect(sse.stats().cut).toBe(0);
      client.response.resume();
      await client.take(30 * 2 + 1);
    },
  );
});

describe('A client that does not read', () => {
  it('is cut when it has not taken for half a minute what waits for it, and is counted', async () => {
    const sockets: Socket[] = [];
    const note = (app: INestApplication) =>
      void (app.getHttpServer() as Server).on('connection', (socket) => sockets.push(socket));
    const { app, url } = await start(platforms[0][1], note, { heartbeatMs: 3_600_000 });
    const slow = await connect(`${url}/channel`);
    slow.response.pause();
    const quick = await connect(`${url}/channel`);
    const sse = app.get(SseService);
    let published = 0;
    // What the buffers of the kernel take waits for nobody.
    await until(async () => {
      await sse.publish(`${published++}`.padEnd(20_000));
      return sockets[0]!.writableLength > 0;
    });
    const since = performance.now();
    await until(() => sse.stats().cut > 0, Boolean, 40_000);
    expect(performance.now() - since).toBeGreaterThan(29_000);
    await until(() => sse.stats().streams === 1);
    expect(sse.stats().cut).toBe(1);
    const events = await quick.take(published + 1);
    expect(events.slice(1).map(({ data }) => Number(data))).toEqual(
      Array.from({ length: published }, (_, n) => n),
    );
  });
});

import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import { Controller, type INestApplication, Logger, Param, Query, Sse } from '@nestjs/common';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseChannel, type SseLimits, SseModule, SseService } from 'nestjs-sse-channels';
import { networkOf } from '../src/access/limits.js';
import { Bucket } from '../src/limiter.js';
import { startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

@Controller()
class StreamController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('teams/:id', { allow: /team-\d+/ })
  team(@Param('id') id: string) {
    return `team-${id}`;
  }

  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @Sse('sse')
  stream(@Query('channel') channel = 'sse') {
    return this.sse.messages(channel);
  }
}

const brokers = [
  ['in memory', () => ({})],
  ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const;

/** Both take the address of a client from `X-Forwarded-For`. */
const trusting = [
  [
    'Express',
    () => new ExpressAdapter(),
    (app: INestApplication) => void (app as NestExpressApplication).set('trust proxy', true),
  ],
  ['Fastify', () => new FastifyAdapter({ trustProxy: true }), () => undefined],
] as const;

describe.each(trusting)('A client’s share on %s', (_, platform, configure) => {
  const start = async (limits: SseLimits, options: object = {}) => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const metadata = {
      imports: [SseModule.forRoot({ ...options, limits })],
      controllers: [StreamController],
    };
    const { app, url } = await startApp(platform, metadata, configure);
    const open = (path: string, address = '10.0.0.1', headers = {}) =>
      connect(`${url}/${path}`, { 'x-forwarded-for': address, ...headers });
    const isOpen = async (stream: Promise<Awaited<ReturnType<typeof connect>>>) => {
      const client = await stream;
      await until(() => client.events.length > 0 || client.ended);
      return !client.ended;
    };
    return { app, url, open, isOpen, sse: app.get(SseService) };
  };

  describe.each(brokers)('%s', (_broker, options) => {
    it('is not what it has left: channels without connections give way, the first left first', async () => {
      const { open, isOpen, sse } = await start({ channels: 10 }, options());
      for (let n = 0; n < 30; n++) {
        const client = await open(`teams/${n}`);
        client.close();
        await until(() => sse.connections().length === 0);
      }
      expect(sse.stats()).toMatchObject({ refused: 0, channels: 10 });
      // Those left last are still there, and nobody else is shut out.
      expect(await isOpen(open('teams/29', '10.0.0.2'))).toBe(true);
      expect(sse.stats().channels).toBe(10);
      for (let n = 100; n < 109; n++) expect(await isOpen(open(`teams/${n}`, `10.0.1.${n}`))).toBe(true);
      expect(await isOpen(open('teams/200', '10.0.0.3'))).toBe(false);
      expect(sse.stats()).toMatchObject({ refused: 1, channels: 10 });
    });

    it('delivers after its channel gave way and came again', async () => {
      const { open, sse } = await start({ channels: 1 }, options());
      for (let n = 0; n < 3; n++) {
        for (const path of ['teams/1', 'teams/2']) {
          const client = await open(path);
          await client.next();
          await sse.publish(n, { channel: path.replace('teams/', 'team-') });
          expect(await client.next()).toMatchObject({ data: `${n}` });
          client.close();
          await until(() => sse.connections().length === 0);
        }
      }
    });
  });

  it('is half of all channels at most, each counted once', async () => {
    const { open, isOpen, sse } = await start({ channels: 8 });
    for (const n of [1, 1, 1, 1, 2, 3, 4]) expect(await isOpen(open(`teams/${n}`))).toBe(true);
    expect(await isOpen(open('teams/5'))).toBe(false);
    expect(await isOpen(open('channel?channel=a&channel=team-1'))).toBe(false);
    expect(await isOpen(open('teams/4'))).toBe(true);
    expect(await isOpen(open('teams/5', '10.0.0.2'))).toBe(true);
    const [first] = sse.connections();
    await sse.disconnect({ connection: first!.id }, { refuseMs: 0 });
    // Three of four are left on that channel.
    await until(() => sse.connections().length === 8);
    expect(await isOpen(open('teams/6'))).toBe(false);
  });

  it('of channels is free again when its connections have ended', async () => {
    const { open, isOpen, sse } = await start({ channelsPerAddress: 3 });
    const client = await open('channel?channel=a&channel=b&channel=c');
    expect(await isOpen(open('channel?channel=d'))).toBe(false);
    expect(await isOpen(open('channel?channel=a&channel=c'))).toBe(true);
    client.close();
    await until(() => sse.connections().length === 1);
    expect(await isOpen(open('channel?channel=d'))).toBe(true);
    expect(await isOpen(open('channel?channel=e'))).toBe(false);
  });

  it.each([
    ['2001:db8::1', '2001:db8:0:0:ffff::2', '2001:db8:0:1::1'],
    ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2'],
  ])('is that of its network: %s', async (one, same, other) => {
    const { open, isOpen } = await start({ connectionsPerAddress: 1 });
    expect(await isOpen(open('channel', one))).toBe(true);
    expect(await isOpen(open('channel', same))).toBe(false);
    expect(await isOpen(open('channel', other))).toBe(true);
  });

  it('of resumes is charged by channel', async () => {
    const { open, sse } = await start({ resumesPerSecond: 50 });
    const all = Array.from({ length: 100 }, (__, n) => `channel=c${n}`).join('&');
    const id = { 'last-event-id': '1763884800000-1' };
    const clients = [];
    for (let n = 0; n < 8; n++) clients.push(await open(`channel?${all}`, '10.0.0.1', id));
    // 250 at once, and 50 for each second that this has taken.
    await until(() => sse.stats().refused > 0);
    expect(sse.connections().length).toBeLessThan(8);
    for (const client of clients) client.close();
  });

  it('is one for all that come through a Unix socket', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sse-http-'));
    const socketPath = join(dir, 'app.sock');
    const metadata = {
      imports: [SseModule.forRoot({ limits: { connectionsPerAddress: 2 } })],
      controllers: [StreamController],
    };
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const { app } = await startApp(platform, metadata);
    const server = app.getHttpServer() as import('node:http').Server;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const requests = Array.from({ length: 3 }, () =>
      request({ socketPath, path: '/channel' }, (response) => response.resume())
        .on('error', () => undefined)
        .end(),
    );
    const sse = app.get(SseService);
    await until(() => sse.stats().refused === 1);
    expect(sse.connections()).toHaveLength(2);
    for (const each of requests) each.destroy();
    await until(() => sse.connections().length === 0);
    rmSync(dir, { recursive: true });
  });

  const pipeline = (url: string, paths: string[]) => {
    const socket = connectSocket(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk)).on('error', () => undefined);
    socket.write(paths.map((path) => `GET /${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
    return { socket, text: () => text };
  };

  it('of a connection on HTTP/1.1 is one: requests behind it end it', async () => {
    const { url, sse } = await start({});
    const { socket, text } = pipeline(
      url,
      Array.from({ length: 200 }, (__, n) => `teams/${n}`),
    );
    let most = 0;
    await until(() => {
      most = Math.max(most, sse.connections().length, sse.stats().streams);
      return socket.closed;
    });
    expect(most).toBeLessThanOrEqual(1);
    expect(
      text()
        .match(/HTTP\/1\.1 \d+/g)!
        .slice(0, 2),
    ).toEqual(['HTTP/1.1 200', 'HTTP/1.1 503']);
    await until(() => sse.connections().length === 0 && sse.stats().streams === 0);
  });

  it('is not more for requests that come later', async () => {
    const { url, sse } = await start({});
    const { socket, text } = pipeline(url, ['channel']);
    await until(() => text().includes('sse.open'));
    for (let n = 0; n < 5; n++) socket.write('GET /channel HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => socket.closed);
    expect(sse.stats().refused).toBe(0);
    await until(() => sse.connections().length === 0);
  });

  it('is not more for Nest’s own event streams', async () => {
    const { url, sse } = await start({});
    const { socket } = pipeline(url, ['sse', 'sse', 'sse', 'channel', 'sse']);
    await until(() => socket.closed);
    await until(() => sse.connections().length === 0);
  });
});

describe('A client’s share on HTTP/2', () => {
  const start = async (limits: SseLimits) => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const metadata = { imports: [SseModule.forRoot({ limits })], controllers: [StreamController] };
    const platform = () => new FastifyAdapter({ http2: true, trustProxy: true });
    const { app, url } = await startApp(platform, metadata);
    const open = (count: number, address = '10.0.0.1') => {
      const session = connectHttp2(url);
      for (let n = 0; n < count; n++) {
        const headers = { ':path': `/teams/${n}`, 'x-forwarded-for': address };
        session
          .request(headers)
          .on('error', () => undefined)
          .resume();
      }
      return session;
    };
    return { sse: app.get(SseService), open };
  };

  it('is a hundred connections of a session and address', async () => {
    const { sse, open } = await start({});
    const sessions = [open(150)];
    await until(() => sse.connections().length + sse.stats().refused === 150);
    expect(sse.connections()).toHaveLength(100);
    sessions.push(open(20));
    await until(() => sse.connections().length === 120);
    for (const session of sessions) session.destroy();
    await until(() => sse.connections().length === 0);
  });

  it('is as much as is set, for each of the clients that a proxy has on a session', async () => {
    const { sse, open } = await start({ connectionsPerSession: 2 });
    const session = open(3);
    await until(() => sse.connections().length + sse.stats().refused === 3);
    expect(sse.connections()).toHaveLength(2);
    for (const path of ['/teams/1', '/teams/2', '/teams/3'])
      session.request({ ':path': path, 'x-forwarded-for': '10.0.0.2' }).resume();
    await until(() => sse.stats().refused === 2);
    expect(sse.connections()).toHaveLength(4);
    session.destroy();
    await until(() => sse.connections().length === 0);
  });
});

describe('A bucket', () => {
  it('gives in advance what is more than it holds, and then nothing until that is paid back', () => {
    jest.useFakeTimers();
    const bucket = new Bucket(10);
    expect([bucket.take(100), bucket.take(1)]).toEqual([true, false]);
    jest.advanceTimersByTime(5_000);
    expect(bucket.take(1)).toBe(false);
    jest.advanceTimersByTime(200);
    expect([bucket.take(1), bucket.take(100)]).toEqual([true, false]);
    jest.useRealTimers();
  });
});

describe('The network of an address', () => {
  it.each([
    ['192.168.0.1', '192.168.0.1'],
    ['::ffff:192.168.0.1', '192.168.0.1'],
    ['::1', '0:0:0:0'],
    ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0'],
    ['2001:db8:1::', '2001:db8:1:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['unix', 'unix'],
    ['unknown', 'unknown'],
    ['a::b::c', 'a:0:0:0'],
    [undefined, undefined],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

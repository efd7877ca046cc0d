import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { ChannelController } from './support/channel.controller.js';
import { until } from './support/until.js';

const [, express] = platforms[0];
const start = (options = {}, configure?: (app: INestApplication) => void) =>
  startApp(express, { imports: [SseModule.forRoot(options)], controllers: [ChannelController] }, configure);

describe('A client that reconnects', () => {
  /** Connects to `count` channels and disconnects. Returns the headers to resume all of them with. */
  const visit = async (url: string, count: number) => {
    const names = Array.from({ length: count }, (_, n) => `c${n}`);
    const target = `${url}/channel?${names.map((name) => `channel=${name}`).join('&')}`;
    const before = await connect(target);
    const { id } = await before.next();
    before.close();
    return { names, target, headers: { 'last-event-id': id! } };
  };

  it.each([
    ['in memory', () => ({})],
    ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
  ])('is not disconnected for events that it has missed on several channels, %s', async (_, options) => {
    const history = { maxEvents: 1_000, maxReplayBytes: 2 ** 30 };
    const { app, url } = await start({
      ...options(),
      history,
      heartbeatMs: 1_000,
    });
    const sse = app.get(SseService);
    const { names, target, headers } = await visit(url, 12);
    for (let n = 0; n < 20; n++) {
      await Promise.all(names.map((channel) => sse.publish(`${n}`.padEnd(100_000), { channel })));
    }
    const client = await connect(target, headers);
    await client.take(12 * 20);
    expect(sse.stats().slow).toBe(0);
  });

  it.each([
    ['', 'the same channels'],
    ['&channel=new', 'one more'],
  ])(
    'is not disconnected for events that this node holds, although it does not read them at once%s (%s)',
    async (more) => {
      const { app, url } = await start();
      const sse = app.get(SseService);
      const { names, target, headers } = await visit(url, 30);
      for (const name of names) {
        for (let n = 0; n < 2; n++) await sse.publish(`${n}`.padEnd(125_000), { channel: name });
      }
      const client = await connect(target + more, headers);
      client.response.pause();
      await sse.publish('live', { channel: 'c0' });
      // The module writes at the end of a turn.
      for (let n = 0; n < 3; n++) await turn();
      expect(sse.stats().slow).toBe(0);
      client.response.resume();
      await client.take(30 * 2 + 1);
    },
  );
});

describe('A client that does not read', () => {
  it('is disconnected and counted when it has not read buffered events for half a minute', async () => {
    const sockets: Socket[] = [];
    const note = (app: INestApplication) =>
      void (app.getHttpServer() as Server).on('connection', (socket) => sockets.push(socket));
    const { app, url } = await start({ heartbeatMs: 3_600_000 }, note);
    const slow = await connect(`${url}/channel`);
    slow.response.pause();
    const fast = await connect(`${url}/channel`);
    const sse = app.get(SseService);
    let published = 0;
    // The first events fit into the buffers of the kernel, and do not count as unread.
    await until(async () => {
      await sse.publish(`${published++}`.padEnd(20_000));
      return sockets[0]!.writableLength > 0;
    });
    const since = performance.now();
    await until(() => sse.stats().slow > 0, Boolean, 40_000);
    expect(performance.now() - since).toBeGreaterThan(29_000);
    await until(() => sse.stats().connections === 1);
    expect(sse.stats().slow).toBe(1);
    const events = await fast.take(published + 1);
    expect(events.slice(1).map(({ data }) => Number(data))).toEqual(
      Array.from({ length: published }, (_, n) => n),
    );
  });
});

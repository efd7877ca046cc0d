import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { Controller, Sse } from '@nestjs/common';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { eventually, until, within } from './support/until.js';

@Controller()
class ChannelController {
  constructor(private readonly sse: SseService) {}

  @Sse('sse')
  messages() {
    return this.sse.messages();
  }

  @SseChannel('channel')
  channel() {
    return 'sse';
  }
}

describe.each(platforms)('Shutdown on %s', (_, platform) => {
  const start = (options: object) =>
    startApp(platform, { imports: [SseModule.forRoot(options)], controllers: [ChannelController] });

  it.each([
    ['in memory', () => ({})],
    ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
  ] as const)('ends at once with open connections of both kinds (%s)', async (_broker, options) => {
    // Only a signal starts the drain.
    const { app, url } = await start({ ...options(), drainMs: 60_000 });
    const paths = ['channel', 'sse', 'channel', 'sse', 'channel', 'sse'];
    const clients = await Promise.all(paths.map((path) => connect(`${url}/${path}`)));
    await until(
      () => app.get(SseService).stats(),
      ({ connections }) => connections === clients.length,
    );
    await eventually('app.close()', app.close());
    await until(() => clients.every(({ ended }) => ended));
    // The server destroys a response that does not end by itself within a second.
    expect(clients.every(({ response }) => response.complete)).toBe(true);
  });

  it('disconnects a client that does not read after a second', async () => {
    const { app, url } = await start({});
    const sockets: Socket[] = [];
    app.getHttpServer().on('connection', (socket: Socket) => sockets.push(socket));
    const client = await connect(`${url}/channel`);
    await client.next();
    client.response.pause();
    // More than the buffers of both sockets hold, but too little for the server to disconnect the client by itself.
    let full = 0;
    await until(async () => {
      full = sockets[0]!.writableLength > 0 ? full + 1 : 0;
      if (full === 0) await app.get(SseService).publish('x'.repeat(100_000));
      return full === 10;
    });
    expect(sockets[0]!.destroyed).toBe(false);
    await eventually('app.close()', app.close());
    expect(sockets[0]!.destroyed).toBe(true);
  });

  it('ends at once while Redis is hung', async () => {
    const server = await startRedis();
    const { app, url } = await start({ redis: server.url });
    const client = await connect(`${url}/channel`);
    await client.next();
    server.signal('SIGSTOP');
    await within(3_000, 'app.close()', app.close());
  });

  it('opens connections with only response headers while Redis is unreachable, and delivers once it is reachable', async () => {
    const server = await startRedis();
    await server.kill();
    const { app, url } = await start({ redis: server.url });
    const client = await connect(`${url}/channel`);
    expect(client.status).toBe(200);
    expect(client.events).toEqual([]);
    await server.start();
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
    await app.get(SseService).publish('back');
    expect(await client.next()).toMatchObject({ data: 'back' });
  });

  it('disconnects only the client with 1 MiB of unread events that are not stored', async () => {
    const { app, url } = await start({});
    const [slow, quick] = await Promise.all([connect(`${url}/channel`), connect(`${url}/channel`)]);
    await Promise.all([slow.next(), quick.next()]);
    slow.response.pause();
    const sse = app.get(SseService);
    await until(async () => {
      await sse.publish('x'.repeat(200_000), { transient: true });
      return sse.stats().connections === 1;
    });
    await sse.publish('end');
    await until(() => quick.events.at(-1)?.data === 'end');
  });
});

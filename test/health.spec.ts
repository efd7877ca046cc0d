import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { SseHealthIndicator } from 'nestjs-sse-channels/terminus';
import { SseBroker } from '../src/broker/broker.js';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { platforms, startApp, terminate } from './support/app.js';
import { connect } from './support/client.js';
import { HealthModule } from './support/health.module.js';
import { Proxy } from './support/proxy.js';
import { startRedis } from './support/redis.js';
import { ChannelController } from './support/channel.controller.js';
import { until } from './support/until.js';

const proxies: Proxy[] = [];
afterEach(() => {
  for (const proxy of proxies.splice(0)) proxy.close();
});

describe.each(platforms)('On %s', (_, platform) => {
  const start = async (options: SseModuleOptions) => {
    const metadata = {
      imports: [SseModule.forRoot(options), HealthModule],
      controllers: [ChannelController],
    };
    const { app, url } = await startApp(platform, metadata);
    const health = async () => {
      const response = await fetch(`${url}/health`);
      const { details } = (await response.json()) as { details: { sse: object } };
      return [response.status, details.sse];
    };
    return { app, url, health, sse: app.get(SseService) };
  };

  it('health is up with its metrics, and down while Redis is unreachable', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const server = await startRedis();
    const { url, health, sse } = await start({ redis: server.url });
    const client = await connect(`${url}/channel`);
    await client.next();
    expect(await health()).toEqual([
      200,
      { status: 'up', redis: 'up', draining: false, connections: 1, channels: 1 },
    ]);
    await server.kill();
    await until(() => !sse.stats().connected);
    expect(await health()).toMatchObject([503, { status: 'down', redis: 'down' }]);
    await server.start();
    await until(async () => (await health())[0] === 200);
    expect(client.ended).toBe(false);
  });

  it('health is down while the application closes its connections', async () => {
    const { app, url, health } = await start({ drainMs: 600_000 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(`${url}/channel`)));
    const closing = terminate(app);
    await until(async () => (await health())[0] === 503);
    expect(await health()).toMatchObject([503, { status: 'down', redis: 'up', draining: true }]);
    for (const client of clients) client.close();
    await closing;
  });
});

describe('The health check', () => {
  it('is set up as docs/production.md says', () => {
    const [, documented] = /```ts\n([^]*?)```/.exec(readFileSync('docs/production.md', 'utf8'))!;
    expect(documented).toBe(readFileSync('test/support/health.module.ts', 'utf8'));
  });

  it('is down while no message arrives, although all connections to Redis are open', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const [server, elsewhere] = [await startRedis(), await startRedis()];
    const proxy = await Proxy.start(server.port);
    proxies.push(proxy);
    const broker = new RedisSseBroker(proxy.url, '', undefined, 100);
    const metadata = {
      imports: [SseModule.forRoot(), TerminusModule.forRoot({ logger: false })],
      providers: [SseHealthIndicator],
    };
    const { app } = await startApp(platforms[0][1], metadata, undefined, (builder) =>
      builder.overrideProvider(SseBroker).useValue(broker),
    );
    await until(() => broker.connected);
    proxy.target = elsewhere.port;
    app.get(SseService).messages().subscribe();
    const status = () => app.get(SseHealthIndicator).isHealthy('events');
    await until(
      () => status(),
      ({ events }) => events.status === 'down' && events.redis === 'deaf',
    );
    proxy.target = server.port;
    await until(
      () => status(),
      ({ events }) => events.status === 'up',
    );
  });
});

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import { type DynamicModule, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { SseModule, type SseModuleOptions, type SseOptionsFactory, SseService } from 'nestjs-sse-channels';
import {
  collect,
  SseTestingModule,
  type SseTestingOptions,
  SseTestingService,
} from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { closeAfterTest, compileModule } from './support/nest-module.js';
import { freePort } from './support/port.js';
import { OrdersController } from './support/testing-module.js';

/** Settings from environment variables that are not set in a test. */
class Settings {
  get redis() {
    return process.env.SSE_URL_THAT_IS_NOT_SET ?? '';
  }
  get requireRedis() {
    return true;
  }
}

describe.each(platforms)('SseTestingModule.override() on %s', (_, platform) => {
  /** A server at the address of Redis. It counts its connections. */
  async function silentRedis() {
    const onConnection = jest.fn();
    const server = createServer(onConnection).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closeAfterTest({ close: async () => void server.close() });
    const { port } = server.address() as AddressInfo;
    return { onConnection, redis: `redis://127.0.0.1:${port}` };
  }

  async function start(
    sseModule: NonNullable<ModuleMetadata['imports']>[number],
    options?: SseTestingOptions,
  ) {
    @Module({ imports: [sseModule], controllers: [OrdersController] })
    class AppModule {}

    const builder = SseTestingModule.override(Test.createTestingModule({ imports: [AppModule] }), options);
    const app = (await builder.compile()).createNestApplication(platform(), { logger: false });
    closeAfterTest(app);
    return { app, sse: app.get<SseTestingService>(SseService) };
  }

  const works = async ({ app, sse }: Awaited<ReturnType<typeof start>>) => {
    const events = await collect(app, '/orders/7/events', {
      count: 2,
      whenOpen: async () => {
        await app.get(OrdersController, { strict: false }).pay('7', { amount: 5 });
        await sse.feed('shipped', { channel: 'order:7' });
      },
    });
    expect(events).toMatchObject([
      { type: 'paid', data: { amount: 5 } },
      { type: 'message', data: 'shipped' },
    ]);
    expect(sse.published).toMatchObject([{ channel: 'order:7', type: 'paid', publishedId: events[0]!.id }]);
    expect(sse.stats()).toMatchObject({ state: 'up', published: 1 });
  };

  let options: SseModuleOptions = {};

  @Injectable()
  class Config implements SseOptionsFactory {
    createSseOptions = () => options;
  }

  it.each([
    ['forRoot(url)', () => SseModule.forRoot(options.redis as string)],
    ['forRoot(options)', () => SseModule.forRoot(options)],
    ['forRootAsync with useFactory', () => SseModule.forRootAsync({ useFactory: async () => options })],
    [
      'forRootAsync with a factory of a URL',
      () => SseModule.forRootAsync({ useFactory: () => options.redis as string }),
    ],
    ['forRootAsync with useClass', () => SseModule.forRootAsync({ useClass: Config })],
  ])('removes Redis from an application configured by %s', async (__, configured) => {
    const { redis, onConnection } = await silentRedis();
    options = { redis, requireRedis: true };
    await works(await start(configured()));
    expect(onConnection).not.toHaveBeenCalled();
  });

  it('starts an application whose Redis is unreachable', async () => {
    const redis = `redis://127.0.0.1:${await freePort()}`;
    await works(await start(SseModule.forRoot({ redis, requireRedis: true })));
    await works(await start(SseModule.forRootAsync({ useFactory: () => ({ redis, requireRedis: true }) })));
  });

  it.each<[string, () => DynamicModule]>([
    ['forRoot() without a URL', () => SseModule.forRoot({ redis: undefined, requireRedis: true })],
    ['an empty URL', () => SseModule.forRoot('')],
    ['an empty URL of a factory', () => SseModule.forRootAsync({ useFactory: () => '' })],
    ['no host', () => SseModule.forRoot({ redis: { host: undefined }, requireRedis: true })],
    ['a class', () => SseModule.forRootAsync({ useFactory: () => new Settings() })],
  ])('starts an application whose Redis is not configured: %s', async (__, configured) => {
    await works(await start(configured()));
  });

  it('does not start an application with two global modules', async () => {
    @Module({ imports: [SseModule.forRoot()] })
    class Feature {}
    @Module({ imports: [SseModule.forRoot(), Feature, SseModule.forRoot({ heartbeatMs: 2_000 })] })
    class AppModule {}

    await expect(start({ module: AppModule })).rejects.toThrow('SseModule is imported more than once');
    const both = [SseTestingModule.forRoot(), SseModule.forRoot()];
    await expect(compileModule({ imports: both })).rejects.toThrow('SseModule is imported more than once');
  });

  it('keeps the other options of the application', async () => {
    const { sse } = await start(SseModule.forRoot({ redis: 'redis://127.0.0.1:1', maxPayloadBytes: 3 }));
    await expect(sse.publish('four')).rejects.toThrow('at most 3 bytes');
  });

  it('replaces the options of the application without calling their factory', async () => {
    const useFactory = jest.fn((): SseModuleOptions => {
      throw new Error('REDIS_URL is missing');
    });
    const started = await start(SseModule.forRootAsync({ useFactory }), { maxPayloadBytes: 30 });
    await works(started);
    await expect(started.sse.publish('x'.repeat(31))).rejects.toThrow('at most 30 bytes');
    expect(useFactory).not.toHaveBeenCalled();
  });

  it.each([
    ['of the application', () => start(SseModule.forRoot({ heartbeatMs: 1 }))],
    ['of override()', () => start(SseModule.forRoot(), { heartbeatMs: 1 })],
    [
      'of override(), with Redis',
      () => start(SseModule.forRoot(), { redis: 'redis://x' } as SseTestingOptions),
    ],
  ])('does not start with wrong options %s', async (__, starting) => {
    await expect(starting()).rejects.toMatchObject({ code: 'SSE_OPTIONS' });
  });
});

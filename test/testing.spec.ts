import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  Body,
  Controller,
  type DynamicModule,
  Injectable,
  Module,
  type ModuleMetadata,
  Param,
  Post,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  type PublishOptions,
  SseChannel,
  type SseEvent,
  SseModule,
  type SseModuleOptions,
  type SseOptionsFactory,
  SseService,
} from 'nestjs-sse-channels';
import {
  collect,
  SseTestingModule,
  type SseTestingOptions,
  SseTestingService,
} from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { freePort } from './support/port.js';

@Controller('orders/:id')
class OrdersController {
  constructor(readonly sse: SseService) {}

  @SseChannel('events')
  events(@Param('id') id: string) {
    return `order:${id}`;
  }

  @Post('payments')
  async pay(@Param('id') id: string, @Body() payment: { amount: number }) {
    await this.sse.publish(payment, { channel: `order:${id}`, type: 'paid' });
  }
}

@Controller()
class ReadersController {
  constructor(private readonly sse: SseService) {}

  @Sse('guarded')
  @UseGuards(ChannelGuard(['news'], fromQuery))
  guarded(@GrantedChannels() channels: Parameters<SseService['messages']>[0] & object) {
    return this.sse.messages(channels);
  }

  @SseChannel('ruled', { channel: fromQuery, allow: ['news'] })
  ruled() {}
}

const closing: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((open) => open.close()));
});

async function compile(metadata: ModuleMetadata): Promise<TestingModule> {
  const module = await Test.createTestingModule(metadata).compile();
  closing.push(module);
  return module;
}

async function compileTesting(options?: SseTestingOptions) {
  const module = await compile({
    imports: [SseTestingModule.forRoot(options)],
    controllers: [OrdersController],
  });
  const sse = module.get(SseTestingService);
  const events: SseEvent[] = [];
  return {
    module,
    sse,
    events,
    subscribe: () => sse.messages('news').subscribe((event) => events.push(event)),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('SseTestingModule', () => {
  it('gives controllers the SseService whose publications it records', async () => {
    const { module, sse } = await compileTesting();
    const controller = module.get(OrdersController);
    await controller.pay('7', { amount: 5 });
    expect(controller.sse).toBe(sse);
    expect(sse).toBeInstanceOf(SseService);
    expect(sse.published).toEqual([
      {
        channel: 'order:7',
        type: 'paid',
        data: { amount: 5 },
        publishedId: expect.stringMatching(/^\d+-\d+$/),
      },
    ]);
  });

  it('is global like SseModule, unless isGlobal is false', async () => {
    @Module({ controllers: [OrdersController] })
    class Feature {}
    const module = await compile({ imports: [SseTestingModule.forRoot(), Feature] });
    expect(module.get(OrdersController, { strict: false }).sse).toBeInstanceOf(SseTestingService);
    const local = compile({ imports: [SseTestingModule.forRoot({ isGlobal: false }), Feature] });
    await expect(local).rejects.toThrow('resolve dependencies of');
  });

  it('takes its options from a factory, too', async () => {
    const dynamic = SseTestingModule.forRootAsync({ useFactory: async () => ({ maxPayloadBytes: 10 }) });
    const module = await compile({ imports: [dynamic] });
    await expect(module.get(SseService).publish('x'.repeat(11))).rejects.toMatchObject({ code: 'SSE_INPUT' });
  });

  it.each<[option: string, options: unknown]>([
    ['redis', { redis: 'redis://:secret@127.0.0.1:1' }],
    ['redis', 'redis://:secret@127.0.0.1:1'],
    ['redis', { redis: { host: '127.0.0.1' }, requireRedis: true }],
  ])('does not start with `%s` in %j', async (option, options) => {
    const start = compileTesting(options as SseTestingOptions);
    const message = `SseTestingModule: expected \`${option}\` to be left out: events stay in memory`;
    await expect(start).rejects.toMatchObject({ code: 'SSE_OPTIONS', message });
  });

  it('does not start with an option that SseModule refuses', async () => {
    const options = [{ heartbeatMs: 1 }, { requireRedis: true }, { channel: 'x' }] as SseTestingOptions[];
    for (const wrong of options) {
      await expect(compileTesting(wrong)).rejects.toMatchObject({ code: 'SSE_OPTIONS' });
    }
  });

  it('starts with production options whose `redis` is undefined', async () => {
    const options: SseModuleOptions = { redis: undefined, requireRedis: false, retryMs: 500 };
    await expect(compileTesting(options)).resolves.toBeDefined();
  });

  it('completes connections when it closes, and publishes no more', async () => {
    const { module, sse } = await compileTesting();
    const complete = jest.fn();
    sse.messages('news').subscribe({ complete });
    await module.close();
    expect(complete).toHaveBeenCalledTimes(1);
    await expect(sse.publish('late')).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    await expect(sse.feed('late')).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    expect(sse.published).toEqual([]);
  });
});

describe('SseTestingService', () => {
  it('records what was given, in call order, with the id that publish() resolved to', async () => {
    const { sse } = await compileTesting();
    const data = { code: 'ACK' };
    const all = [
      sse.publish(data, { channel: 'jobs', type: 'done', id: 12345, retry: 6_000 }),
      sse.publish('hello'),
      sse.publish(null, { channel: 'e\u0301', idempotencyKey: 'key' }),
      sse.publish(1, { channel: 'é', idempotencyKey: 'key' }),
      sse.publish('typing', { channel: 'chat', transient: true }),
    ];
    const [done, hello, first, second, typing] = await Promise.all(all);
    expect(sse.published).toStrictEqual([
      { channel: 'jobs', data, type: 'done', id: 12345, retry: 6_000, publishedId: done },
      { channel: 'sse', data: 'hello', publishedId: hello },
      { channel: 'é', data: null, idempotencyKey: 'key', publishedId: first },
      { channel: 'é', data: 1, idempotencyKey: 'key', publishedId: second },
      { channel: 'chat', data: 'typing', transient: true, publishedId: typing },
    ]);
    expect([done, second, typing]).toEqual(['12345', first, '']);
    expect(sse.published[0]!.data).toBe(data);
    expect(Object.isFrozen(sse.published[0])).toBe(true);
  });

  it('records nothing that was refused', async () => {
    const { sse } = await compileTesting();
    const refused: [data: unknown, options?: unknown][] = [
      [undefined],
      ['x', { channel: 'a b' }],
      ['x', { type: 'sse.open' }],
      ['x', null],
    ];
    for (const [data, options] of refused) {
      const [publishing, feeding] = [
        sse.publish(data, options as PublishOptions),
        sse.feed(data, options as PublishOptions),
      ];
      await expect(publishing).rejects.toMatchObject({ code: 'SSE_INPUT' });
      await expect(feeding).rejects.toMatchObject({ code: 'SSE_INPUT' });
    }
    expect(sse.published).toEqual([]);
  });

  it('forgets publications by clear(), and leaves lists alone that a test holds', async () => {
    const { sse } = await compileTesting();
    await sse.publish('before');
    const before = sse.published;
    sse.clear();
    await sse.publish('after');
    expect(before.map(({ data }) => data)).toEqual(['before']);
    expect(sse.published.map(({ data }) => data)).toEqual(['after']);
  });

  it('feeds events to subscribers and into history without recording or counting them', async () => {
    const { sse, events, subscribe } = await compileTesting();
    subscribe();
    const first = await sse.feed({ n: 1 }, { channel: 'news', type: 'number' });
    const second = await sse.feed('two', { channel: 'news', id: 'own' });
    await turn();
    expect(events).toEqual([
      { id: first, channel: 'news', type: 'number', data: { n: 1 } },
      { id: 'own', channel: 'news', data: 'two' },
    ]);
    expect(second).toBe('own');
    const resumed: SseEvent[] = [];
    sse.messages('news', { lastEventId: first }).subscribe((event) => resumed.push(event));
    await turn();
    expect(resumed).toEqual(events.slice(1));
    expect([sse.published, sse.stats().published]).toEqual([[], 0]);
    expect(await sse.feed('default')).toMatch(/^\d+-\d+$/);
  });

  it('feeds no more than `maxPayloadBytes`', async () => {
    const { sse } = await compileTesting({ maxPayloadBytes: 3 });
    await expect(sse.feed('four')).rejects.toThrow('at most 3 bytes, got 4');
  });

  it('loses the history of a channel: live and resuming subscribers get one sse.reset and go on', async () => {
    const { sse, events, subscribe } = await compileTesting();
    subscribe();
    const before = await sse.feed('before', { channel: 'news' });
    await turn();
    sse.loseHistory('news');
    await turn();
    const after = await sse.feed('after', { channel: 'news' });
    await turn();
    const reset = {
      id: expect.stringMatching(/^\d+-\d+$/),
      channel: 'news',
      type: 'sse.reset',
      data: { channel: 'news', reason: 'lost' },
    };
    const last = { id: after, channel: 'news', data: 'after' };
    expect(events).toEqual([{ id: before, channel: 'news', data: 'before' }, reset, last]);
    const resumed: SseEvent[] = [];
    sse.messages('news', { lastEventId: before }).subscribe((event) => resumed.push(event));
    await turn();
    expect(resumed).toEqual([{ ...reset, id: after }]);
    const continued: SseEvent[] = [];
    sse.messages('news', { lastEventId: events[1]!.id }).subscribe((event) => continued.push(event));
    await turn();
    expect(continued).toEqual([last]);
  });

  it('loses the history of a channel without subscribers', async () => {
    const { sse } = await compileTesting();
    const lastEventId = await sse.feed('before');
    sse.loseHistory();
    const events: SseEvent[] = [];
    sse.messages('sse', { lastEventId }).subscribe((event) => events.push(event));
    await turn();
    expect(events).toMatchObject([{ type: 'sse.reset', data: { reason: 'lost' } }]);
  });

  it('loses no history of a wrong channel, and none where none is kept', async () => {
    const { sse } = await compileTesting({ history: false });
    expect(() => sse.loseHistory('a b')).toThrow('Expected `channel` to be');
    expect(() => sse.loseHistory()).toThrow('Expected `history` to be kept');
  });
});

describe.each(platforms)('SseTestingModule on %s', (_, platform) => {
  it('serves guarded routes, routes with rules, and HTTP errors as in production', async () => {
    const module = await compile({
      imports: [SseTestingModule.forRoot()],
      controllers: [ReadersController, OrdersController],
    });
    const app = module.createNestApplication(platform(), { logger: false });
    closing.push(app);
    const sse = app.get(SseTestingService);
    const publish = { count: 1, whenOpen: () => sse.feed('x', { channel: 'news' }) };
    for (const path of ['/guarded', '/ruled']) {
      await expect(collect(app, `${path}?channel=news`, publish)).resolves.toMatchObject([{ data: 'x' }]);
      await expect(collect(app, `${path}?channel=secret`)).rejects.toMatchObject({ status: 403 });
    }
  });
});

/** Settings of an application whose environment a test does not have. */
class Settings {
  get redis() {
    return process.env.SSE_URL_THAT_IS_NOT_SET ?? '';
  }
  get requireRedis() {
    return true;
  }
}

describe.each(platforms)('SseTestingModule.override() on %s', (_, platform) => {
  /** Where Redis is said to be; counts what connects to it. */
  async function silentRedis() {
    const onConnection = jest.fn();
    const server = createServer(onConnection).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push({ close: async () => void server.close() });
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
    closing.push(app);
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
  ])('takes Redis out of an application configured by %s', async (__, configured) => {
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
    await expect(compile({ imports: both })).rejects.toThrow('SseModule is imported more than once');
  });

  it('keeps the other options of the application', async () => {
    const { sse } = await start(SseModule.forRoot({ redis: 'redis://127.0.0.1:1', maxPayloadBytes: 3 }));
    await expect(sse.publish('four')).rejects.toThrow('at most 3 bytes');
  });

  it('takes options in place of the application’s own, without calling their factory', async () => {
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
    ['in their place', () => start(SseModule.forRoot(), { heartbeatMs: 1 })],
    [
      'in their place, with Redis',
      () => start(SseModule.forRoot(), { redis: 'redis://x' } as SseTestingOptions),
    ],
  ])('does not start with wrong options %s', async (__, starting) => {
    await expect(starting()).rejects.toMatchObject({ code: 'SSE_OPTIONS' });
  });
});

import { describe, expect, it, jest } from '@jest/globals';
import { Controller, Module, Sse, UseGuards } from '@nestjs/common';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  SseChannel,
  type SseModuleOptions,
  SseService,
} from 'nestjs-sse-channels';
import {
  collect,
  SseTestingModule,
  type SseTestingOptions,
  SseTestingService,
} from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { closeAfterTest, compileModule } from './support/nest-module.js';
import { compileTesting, OrdersController } from './support/testing-module.js';

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
    const module = await compileModule({ imports: [SseTestingModule.forRoot(), Feature] });
    expect(module.get(OrdersController, { strict: false }).sse).toBeInstanceOf(SseTestingService);
    const local = compileModule({ imports: [SseTestingModule.forRoot({ isGlobal: false }), Feature] });
    await expect(local).rejects.toThrow('resolve dependencies of');
  });

  it('gets its options from a factory', async () => {
    const dynamic = SseTestingModule.forRootAsync({ useFactory: async () => ({ maxPayloadBytes: 10 }) });
    const module = await compileModule({ imports: [dynamic] });
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

  it('does not start with an option that SseModule rejects', async () => {
    const options = [{ heartbeatMs: 1 }, { requireRedis: true }, { channel: 'x' }] as SseTestingOptions[];
    for (const wrong of options) {
      await expect(compileTesting(wrong)).rejects.toMatchObject({ code: 'SSE_OPTIONS' });
    }
  });

  it('starts with production options whose `redis` is undefined', async () => {
    const options: SseModuleOptions = { redis: undefined, requireRedis: false, retryMs: 500 };
    await expect(compileTesting(options)).resolves.toBeDefined();
  });

  it('completes connections when it closes, and rejects later publications', async () => {
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

describe.each(platforms)('SseTestingModule on %s', (_, platform) => {
  it('serves guarded routes, routes with rules, and HTTP errors as in production', async () => {
    const module = await compileModule({
      imports: [SseTestingModule.forRoot()],
      controllers: [ReadersController, OrdersController],
    });
    const app = module.createNestApplication(platform(), { logger: false });
    closeAfterTest(app);
    const sse = app.get(SseTestingService);
    const publish = { count: 1, whenOpen: () => sse.feed('x', { channel: 'news' }) };
    for (const path of ['/guarded', '/ruled']) {
      await expect(collect(app, `${path}?channel=news`, publish)).resolves.toMatchObject([{ data: 'x' }]);
      await expect(collect(app, `${path}?channel=secret`)).rejects.toMatchObject({ status: 403 });
    }
  });
});

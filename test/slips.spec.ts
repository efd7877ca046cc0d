import { Controller, Module, Param } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from '@jest/globals';
import {
  ChannelGuard,
  fromQuery,
  type PublishOptions,
  SseChannel,
  SseModule,
  SseService,
  type SseTarget,
} from 'nestjs-sse-channels';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { platforms, startApp } from './support/app.js';
import { brokerOptions } from './support/broker-options.js';
import { connect } from './support/client.js';
import { useNewsSubscriber } from './support/news-subscriber.js';
import { until } from './support/until.js';

describe.each(brokerOptions)('A mistake in a call (%s)', (_, options) => {
  const { sse, expectNothingPublished } = useNewsSubscriber(options);

  it.each<[unknown, string]>([
    [{ chanel: 'news' }, '`chanel`'],
    [{ channel: 'news', typ: 'x' }, '`typ`'],
    [{ channel: 'news', data: 1 }, '`data`'],
    [{ channel: undefined }, '`channel`'],
    [{ channel: null }, '`channel`'],
    [Promise.resolve({ channel: 'news' }), 'a Promise'],
    [new Map([['channel', 'news']]), 'a Map'],
    [['news'], 'an array'],
    ['news', '"news"'],
    [null, 'null'],
  ])('is refused as options of publish(): %p', async (given, message) => {
    await expect(sse().publish(1, given as PublishOptions)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringContaining(message),
    });
    await expectNothingPublished();
  });

  it('is refused by messages(): an undefined channel, an unknown option', () => {
    const messages = sse().messages.bind(sse()) as (...args: unknown[]) => unknown;
    for (const args of [
      [undefined],
      [undefined, {}],
      ['news', { lastEventID: 'x' }],
      ['news', { filter: () => true }],
      ['news', Promise.resolve({})],
      [{ channel: 'news' }],
    ]) {
      expect(() => messages(...args)).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
    }
  });

  it('is refused by disconnect(): a target that would close more connections than it names', async () => {
    for (const target of [
      { user: undefined, channel: 'news' },
      { channel: undefined, user: 1 },
      { connection: undefined, channel: 'news' },
      { usr: 1, channel: 'news' },
      Promise.resolve({ user: 1 }),
    ]) {
      await expect(sse().disconnect(target as object)).rejects.toMatchObject({ code: 'SSE_INPUT' });
    }
    await expect(sse().disconnect({ user: 1 }, { refuse: 0 } as object)).rejects.toMatchObject({
      code: 'SSE_INPUT',
    });
    await expectNothingPublished();
  });
});

@Controller()
class TargetController {
  @SseChannel('target/:name')
  target(@Param('name') name: string) {
    const targets: Record<string, unknown> = {
      filters: { channel: 'news', filters: () => false },
      filter: { channel: 'news', filter: undefined },
      channels: { channels: ['news'] },
      channel: { channel: undefined },
      undefined: undefined,
      null: null,
      readonly: Object.freeze(['news']),
    };
    return targets[name] as SseTarget;
  }
}

describe.each(platforms)('A mistake in the return value of an @SseChannel() handler on %s', (_, platform) => {
  it('is refused, and no connection opens', async () => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      controllers: [TargetController],
    });
    const statusOf = async (name: string) => (await connect(`${url}/target/${name}`)).status;
    for (const name of ['filters', 'filter', 'channels', 'channel', 'undefined', 'null']) {
      expect([name, await statusOf(name)]).toEqual([name, 400]);
    }
    expect(app.get(SseService).stats().connections).toBe(0);
    expect(await statusOf('readonly')).toBe(200);
  });
});

describe('A mistake in a definition', () => {
  it('is an error when the class is defined', () => {
    expect(() => SseChannel('x', { alow: ['news'] } as never)).toThrow('`alow`');
    expect(() => SseChannel('x', { allow: undefined } as never)).toThrow('`allow`');
    expect(() => ChannelGuard(undefined as never, fromQuery)).toThrow('`allow`');
    expect(() => ChannelGuard(['news'], undefined as never)).toThrow('`channel`');
    expect(() => SseChannel('x', { channel: fromQuery } as never)).toThrow('`allow`');
    expect(() => SseChannel('x', { channel: undefined, allow: ['news'] } as never)).toThrow('`channel`');
    expect(() => new PrometheusMetrics({ prefixes: 'x' } as never)).toThrow('`prefixes`');
  });

  it('is an error at start: the module imported twice', async () => {
    @Module({ imports: [SseModule.forRoot({ prefix: 'other:' })] })
    class FeatureModule {}
    const building = Test.createTestingModule({ imports: [SseModule.forRoot(), FeatureModule] }).compile();
    await expect(building).rejects.toThrow('SseModule is imported more than once');
  });
});

describe('A module that is not global', () => {
  it('may be imported by each feature', async () => {
    const features = ['a', 'b'].map((name) => {
      const imports = [SseModule.forRoot({ isGlobal: false })];
      return {
        module: class Feature {
          readonly name = name;
        },
        imports,
        providers: [{ provide: name, useExisting: SseService }],
        exports: [name],
      };
    });
    const module = await Test.createTestingModule({ imports: features }).compile();
    const [a, b] = ['a', 'b'].map((name) => module.get<SseService>(name, { strict: false }));
    const received: unknown[] = [];
    a!.messages('news').subscribe(({ data }) => received.push(data));
    await b!.publish('of b', { channel: 'news' });
    await a!.publish('of a', { channel: 'news' });
    await until(() => received.length > 0);
    expect(received).toEqual(['of a']);
    await module.close();
  });
});

import { afterEach, describe, expect, it } from '@jest/globals';
import { Global, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  type SseEvent,
  SseModule,
  type SseModuleOptions,
  type SseOptionsFactory,
  SseService,
} from 'nestjs-sse-channels';
import { resolveOptions } from '../src/resolve-options.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

const SECRET = 'hunter2';

@Injectable()
class Config implements SseOptionsFactory {
  readonly prefix = randomPrefix();

  createSseOptions(): SseModuleOptions {
    return { redis: redisUrl(), prefix: this.prefix };
  }
}

@Module({ providers: [Config], exports: [Config] })
class ConfigModule {}

@Injectable()
class Feature {
  constructor(readonly sse: SseService) {}
}

@Module({ providers: [Feature] })
class FeatureModule {}

describe('SseModule', () => {
  const modules: TestingModule[] = [];

  afterEach(async () => {
    await Promise.all(modules.splice(0).map((module) => module.close()));
  });

  const compile = async (metadata: ModuleMetadata) => {
    const module = await Test.createTestingModule(metadata).compile();
    modules.push(module);
    return module;
  };
  const works = async (sse: SseService) => {
    const events: SseEvent[] = [];
    sse.messages().subscribe((event) => events.push(event));
    await until(async () => (await sse.publish('x'), events.length > 0));
  };

  it.each([
    ['forRoot()', () => SseModule.forRoot()],
    ['forRoot(url)', () => SseModule.forRoot(redisUrl())],
    ['forRoot(options)', () => SseModule.forRoot({ redis: redisUrl(), prefix: randomPrefix() })],
    [
      'forRootAsync with useFactory',
      () =>
        SseModule.forRootAsync({
          imports: [ConfigModule],
          inject: [Config],
          useFactory: async (config: Config) => config.createSseOptions(),
        }),
    ],
    ['forRootAsync with a factory of a URL', () => SseModule.forRootAsync({ useFactory: () => redisUrl() })],
    ['forRootAsync with useClass', () => SseModule.forRootAsync({ useClass: Config })],
    [
      'forRootAsync with useExisting',
      () => SseModule.forRootAsync({ imports: [ConfigModule], useExisting: Config }),
    ],
  ])('publishes and receives when configured by %s', async (_, create) => {
    const module = await compile({ imports: [create()] });
    await works(module.get(SseService));
  });

  it('is global: other modules inject SseService without importing it', async () => {
    const module = await compile({ imports: [SseModule.forRoot(), FeatureModule] });
    await works(module.get(Feature, { strict: false }).sse);
  });

  it('is not global where isGlobal is false', async () => {
    await expect(
      compile({ imports: [SseModule.forRoot({ isGlobal: false }), FeatureModule] }),
    ).rejects.toThrow(/resolve dependencies of the Feature/);
  });

  it('publishes in memory to subscribers who subscribed in the same turn', async () => {
    const sse = (await compile({ imports: [SseModule.forRoot()] })).get(SseService);
    const events: SseEvent[] = [];
    sse.messages().subscribe((event) => events.push(event));
    await sse.publish('at once');
    await until(() => events.length === 1);
    expect(Object.isFrozen(events[0])).toBe(true);
  });

  it('completes the streams when it closes, and those opened after that', async () => {
    const module = await compile({ imports: [SseModule.forRoot()] });
    const sse = module.get(SseService);
    const completed: string[] = [];
    sse.messages('a').subscribe({ complete: () => completed.push('a') });
    sse.messages(['b', 'c']).subscribe({ complete: () => completed.push('b and c') });
    await module.close();
    sse.messages('d').subscribe({ complete: () => completed.push('d') });
    expect(completed).toEqual(['a', 'b and c', 'd']);
    expect(sse.stats()).toMatchObject({ channels: 0, streams: 0 });
  });

  it.each<[option: string, given: unknown, expected: RegExp]>([
    ['redis', '', /a URL such as redis:\/\/localhost:6379\/0, or the path of a socket .*, got ""/],
    ['redis', 'localhost:6379', /a URL such as .*, got "localhost:6379"/],
    ['redis', 'http://localhost', /a URL/],
    ['redis', 'redis://localhost/x', /a URL/],
    ['redis', 7, /a URL as text, ioredis options or an ioredis instance, got 7/],
    ['redis', null, /got null/],
    ['redis', [], /got an array/],
    ['prefix', 5, /at most 100 characters without spaces and braces, got 5/],
    ['prefix', 'a b', /got "a b"/],
    ['prefix', '{x}', /got "{x}"/],
    ['prefix', 'x'.repeat(101), /got "x+… \(103 characters\)/],
    ['maxPayloadBytes', 0, /a whole number from 1 to 1048576, got 0/],
    ['maxPayloadBytes', 1_048_577, /got 1048577/],
    ['maxPayloadBytes', '1000', /got "1000"/],
    ['heartbeatMs', 999, /a whole number from 1000 to 3600000, got 999/],
    ['heartbeatMs', NaN, /got NaN/],
    ['retryMs', 99, /a whole number from 100 to 3600000, got 99/],
    ['revalidateMs', 999, /a whole number from 1000 to 86400000, got 999/],
    ['drainMs', -1, /a whole number from 0 to 600000, got -1/],
    ['maxConnectionAgeMs', 0, /a whole number from 1000 to 604800000, got 0/],
    ['maxConnectionAgeMs', true, /a whole number from 1000 to 604800000, got true/],
    ['requireRedis', 'yes', /true or false, got "yes"/],
    ['metrics', {}, /an object with start\(\) and publication\(\), got an object/],
    ['metrics', null, /an object with start\(\) and publication\(\), got null/],
    ['limits', 5, /an object, got 5/],
    ['origins', '*', /a list of origins such as https:\/\/app.example.com, got "\*"/],
    ['origins', ['*'], /got "\*"/],
    ['origins', ['https://app.example.com/'], /got "https:\/\/app.example.com\/"/],
    ['origins', ['https://*.example.com'], /got "https:.*"; there are no wildcards, so name each origin$/],
    ['origins', ['capacitor://*'], /there are no wildcards, so name each origin$/],
    ['origins', ['capacitor://localhost/'], /got "capacitor:\/\/localhost\/"/],
    ['origins', ['Capacitor://localhost'], /got "Capacitor:\/\/localhost"/],
    ['origins', ['chrome-extension://'], /got "chrome-extension:\/\/"/],
    ['origins', ['chrome-extension://abc/page.html'], /got "chrome-extension:/],
    ['origins', ['capacitor://user@localhost'], /got "capacitor:/],
    ['origins', ['file://host'], /got "file:\/\/host"/],
    ['origins', ['null'], /got "null"/],
    ['origins', [undefined], /got undefined/],
    ['heartbeat', 1000, /one of the options redis, history, prefix, maxPayloadBytes, heartbeatMs/],
  ])('does not start with a wrong %s: %p', async (option, given, expected) => {
    const options = { [option]: given } as SseModuleOptions;
    const sync = compile({ imports: [SseModule.forRoot(options)] });
    await expect(sync).rejects.toMatchObject({
      name: 'SseError',
      code: 'SSE_OPTIONS',
      message: expect.stringMatching(expected),
    });
    const async = compile({ imports: [SseModule.forRootAsync({ useFactory: () => options })] });
    await expect(async).rejects.toThrow(`SseModule: expected \`${option}\``);
  });

  it.each<[SseModuleOptions, number | false]>([
    [{}, 1_800_000],
    [{ history: false }, false],
    [{ history: false, maxConnectionAgeMs: 60_000 }, 60_000],
    [{ maxConnectionAgeMs: false }, false],
  ])('lets streams grow as old as is said, or fits: %j', (options, expected) => {
    expect(resolveOptions(options).maxConnectionAgeMs).toBe(expected);
  });

  it.each<[SseModuleOptions['limits'] | object, string]>([
    [{ connections: 0 }, '`limits.connections` to be a whole number from 1 to 10000000, got 0'],
    [{ channels: '5' }, '`limits.channels` to be a whole number from 1 to 10000000, got "5"'],
    [{ streams: 5 }, '`limits.streams` to be one of the options connections, connectionsPerAddress'],
  ])('does not start with a wrong limit: %j', async (limits, message) => {
    await expect(compile({ imports: [SseModule.forRoot({ limits })] })).rejects.toThrow(message);
  });

  it.each<[object, string]>([
    [
      { nodes: [] },
      '`redis.nodes` to be a list of nodes such as { host, port } or redis://host:6379, got an array',
    ],
    [{ nodes: [null] }, 'got null'],
    [{ nodes: [`http://:${SECRET}@host`] }, 'got "***@host"'],
    [{ nodes: [`user:${SECRET}`] }, 'got "user:***"'],
    [{ nodes: [`redis://:${SECRET}`] }, 'got "redis://:***"'],
    [{ nodes: [7_000], keyPrefix: '{}:' }, '`redis.keyPrefix` to be without {}'],
    [
      { nodes: [7_000], useSRVRecords: true },
      '`redis.useSRVRecords` to be left out: name the nodes, got true',
    ],
    [{ duplicate() {}, subscribe() {}, isCluster: true }, '`redis.nodes` to be a list'],
  ])('does not start with a cluster that cannot be found: %j', async (redis, message) => {
    await expect(compile({ imports: [SseModule.forRoot({ redis })] })).rejects.toThrow(message);
  });

  it.each<[string, () => unknown, string]>([
    ['null', () => SseModule.forRoot(null as never), '`options` to be an object or a Redis URL, got null'],
    ['a promise', () => SseModule.forRoot(Promise.resolve({}) as never), 'got a Promise'],
    ['isGlobal as text', () => SseModule.forRoot({ isGlobal: 'false' as never }), '`isGlobal` to be true or'],
    ['nothing for forRootAsync()', () => SseModule.forRootAsync(undefined as never), 'got undefined'],
    [
      'no factory',
      () => SseModule.forRootAsync({}),
      'one of useFactory, useClass, useExisting in forRootAsync',
    ],
    [
      'an undefined factory',
      () => SseModule.forRootAsync({ useFactory: undefined }),
      'one of useFactory, useClass, useExisting in forRootAsync(), got none',
    ],
    ['a misspelt factory', () => SseModule.forRootAsync({ useFactroy: () => ({}) } as never), '`useFactroy`'],
    [
      'two factories',
      () => SseModule.forRootAsync({ useFactory: () => ({}), useClass: Config }),
      'got useFactory and useClass',
    ],
    [
      'a factory that is none',
      () => SseModule.forRootAsync({ useFactory: {} as never }),
      '`useFactory` to be a',
    ],
    [
      'a class that is none',
      () => SseModule.forRootAsync({ useClass: new Config() as never }),
      '`useClass` to',
    ],
    [
      'a token that is none',
      () => SseModule.forRootAsync({ useExisting: null as never }),
      '`useExisting` to',
    ],
    [
      'a misspelt isGlobal',
      () => SseModule.forRootAsync({ useFactory: () => ({}), isglobal: false } as never),
      '`isglobal`',
    ],
    [
      'isGlobal as a number',
      () => SseModule.forRootAsync({ useFactory: () => ({}), isGlobal: 0 as never }),
      '`isGlobal` to be true or false, got 0',
    ],
  ])('is not configured by %s', (_, configure, message) => {
    expect(configure).toThrow(
      expect.objectContaining({ code: 'SSE_OPTIONS', message: expect.stringContaining(message) }),
    );
  });

  it.each([
    ['forRoot()', () => SseModule.forRoot({ isGlobal: undefined })],
    ['forRootAsync()', () => SseModule.forRootAsync({ useFactory: () => ({}), isGlobal: undefined })],
  ])('is global where isGlobal is undefined in %s', async (_, create) => {
    const module = await compile({ imports: [create(), FeatureModule] });
    await works(module.get(Feature, { strict: false }).sse);
  });

  it('does not start with global modules that export one each', async () => {
    const wrapper = (prefix: string) => {
      @Module({ imports: [SseModule.forRoot({ isGlobal: false, prefix })], exports: [SseModule] })
      class Inner {}
      @Global()
      @Module({ imports: [Inner], exports: [Inner] })
      class Outer {}
      return Outer;
    };
    const message = 'SseModule is imported more than once';
    await expect(compile({ imports: [wrapper('a'), wrapper('b')] })).rejects.toThrow(message);
    await expect(compile({ imports: [wrapper('a'), SseModule.forRoot()] })).rejects.toThrow(message);
    await works((await compile({ imports: [wrapper('a')] })).get(SseService, { strict: false }));
  });

  it('does not start with options that are none', async () => {
    const useFactory = () => null as unknown as SseModuleOptions;
    await expect(compile({ imports: [SseModule.forRootAsync({ useFactory })] })).rejects.toThrow(
      'SseModule: expected `options` to be an object or a Redis URL, got null',
    );
  });

  it.each([
    `http://user:${SECRET}@host/0`,
    `user:${SECRET}@host:6379`,
    `redis:/:${SECRET}@h/0x`,
    `http://host?password=${SECRET}&x=1`,
    `redis://:${SECRET}`,
    `redis://:${SECRET}/0`,
    `redis://user:${SECRET}`,
    `redis:${SECRET}`,
    `localhost:${SECRET}`,
    `redis://:${SECRET}\n@`,
    `redis://host/x?sentinelPassword=${SECRET}`,
  ])('does not show the password of a wrong URL: %s', async (url) => {
    const error: Error = await compile({ imports: [SseModule.forRoot(url)] }).then(
      () => new Error('it started'),
      (reason: Error) => reason,
    );
    expect(error.message).toContain('***');
    expect(error.message).not.toContain(SECRET);
  });
});

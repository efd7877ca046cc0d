import { describe, expect, it } from '@jest/globals';
import { SseModule, type SseModuleOptions } from 'nestjs-sse-channels';
import { resolveOptions } from '../src/options/resolve-options.js';
import { Config } from './support/module-config.js';
import { compileModule } from './support/nest-module.js';

const SECRET = 'hunter2';

describe('SseModule', () => {
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
    ['writeIntervalMs', -1, /a whole number from 0 to 1000, got -1/],
    ['writeIntervalMs', 1_001, /got 1001/],
    ['writeIntervalMs', 0.5, /got 0.5/],
    ['writeIntervalMs', '20', /got "20"/],
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
    ['compression', 'gzip', /true, false, or { minBytes }, got "gzip"/],
    ['compression', null, /true, false, or { minBytes }, got null/],
    ['compression', [], /got an array/],
    ['heartbeat', 1000, /one of the options redis, history, prefix, maxPayloadBytes, heartbeatMs/],
  ])('does not start with a wrong %s: %p', async (option, given, expected) => {
    const options = { [option]: given } as SseModuleOptions;
    const sync = compileModule({ imports: [SseModule.forRoot(options)] });
    await expect(sync).rejects.toMatchObject({
      name: 'SseError',
      code: 'SSE_OPTIONS',
      message: expect.stringMatching(expected),
    });
    const async = compileModule({ imports: [SseModule.forRootAsync({ useFactory: () => options })] });
    await expect(async).rejects.toThrow(`SseModule: expected \`${option}\``);
  });

  it.each<[SseModuleOptions, number | false]>([
    [{}, 1_800_000],
    [{ history: false }, false],
    [{ history: false, maxConnectionAgeMs: 60_000 }, 60_000],
    [{ maxConnectionAgeMs: false }, false],
  ])('limits the age of connections, with a default that depends on `history`: %j', (options, expected) => {
    expect(resolveOptions(options).maxConnectionAgeMs).toBe(expected);
  });

  it.each<[object, string]>([
    [{ minBytes: -1 }, '`compression.minBytes` to be a whole number from 0 to 1048576, got -1'],
    [{ minBytes: 1_048_577 }, '`compression.minBytes` to be a whole number from 0 to 1048576, got 1048577'],
    [{ minBytes: '5' }, '`compression.minBytes` to be a whole number from 0 to 1048576, got "5"'],
    [{ level: 9 }, '`compression.level` to be one of the options minBytes'],
  ])('does not start with a wrong compression: %j', async (compression, message) => {
    await expect(compileModule({ imports: [SseModule.forRoot({ compression })] })).rejects.toThrow(message);
  });

  it.each<[SseModuleOptions['compression'], { minBytes: number } | false]>([
    [undefined, false],
    [false, false],
    [true, { minBytes: 400 }],
    [{}, { minBytes: 400 }],
    [{ minBytes: undefined }, { minBytes: 400 }],
    [{ minBytes: 0 }, { minBytes: 0 }],
  ])('compresses only if it is told to: %j', (compression, expected) => {
    expect(resolveOptions({ compression }).compression).toEqual(expected);
  });

  it.each<[SseModuleOptions['limits'] | object, string]>([
    [{ connections: 0 }, '`limits.connections` to be a whole number from 1 to 10000000, got 0'],
    [{ channels: '5' }, '`limits.channels` to be a whole number from 1 to 10000000, got "5"'],
    [{ streams: 5 }, '`limits.streams` to be one of the options connections, connectionsPerAddress'],
  ])('does not start with a wrong limit: %j', async (limits, message) => {
    await expect(compileModule({ imports: [SseModule.forRoot({ limits })] })).rejects.toThrow(message);
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
  ])('does not start with wrong cluster options: %j', async (redis, message) => {
    await expect(compileModule({ imports: [SseModule.forRoot({ redis })] })).rejects.toThrow(message);
  });

  it.each<[string, () => unknown, string]>([
    ['null', () => SseModule.forRoot(null as never), '`options` to be an object or a Redis URL, got null'],
    ['a promise', () => SseModule.forRoot(Promise.resolve({}) as never), 'got a Promise'],
    ['isGlobal as text', () => SseModule.forRoot({ isGlobal: 'false' as never }), '`isGlobal` to be true or'],
    ['undefined in forRootAsync()', () => SseModule.forRootAsync(undefined as never), 'got undefined'],
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
      'a factory that is not a function',
      () => SseModule.forRootAsync({ useFactory: {} as never }),
      '`useFactory` to be a',
    ],
    [
      'an instance instead of a class',
      () => SseModule.forRootAsync({ useClass: new Config() as never }),
      '`useClass` to',
    ],
    [
      'null instead of a token',
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
  ])('cannot be configured by %s', (_, configure, message) => {
    expect(configure).toThrow(
      expect.objectContaining({ code: 'SSE_OPTIONS', message: expect.stringContaining(message) }),
    );
  });

  it('does not start when its factory returns null', async () => {
    const useFactory = () => null as unknown as SseModuleOptions;
    await expect(compileModule({ imports: [SseModule.forRootAsync({ useFactory })] })).rejects.toThrow(
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
    const error: Error = await compileModule({ imports: [SseModule.forRoot(url)] }).then(
      () => new Error('it started'),
      (reason: Error) => reason,
    );
    expect(error.message).toContain('***');
    expect(error.message).not.toContain(SECRET);
  });
});

import { describe, expect, it } from '@jest/globals';
import { type SseModuleOptions } from 'nestjs-sse-channels';
import { resolveRedis } from '../src/options/redis-source.js';
import { resolveOptions } from '../src/options/resolve-options.js';

const SECRET = 'hunter2';

/** A configuration with getters, as in classes of settings. */
class Settings {
  get redis() {
    return 'redis://example.com:6379/0';
  }
  get history() {
    return new History();
  }
}

class History {
  get maxEvents() {
    return 5;
  }
}

class Hidden {
  readonly #redis = 'redis://example.com';
  url() {
    return this.#redis;
  }
}

class Server {
  get host() {
    return 'example.com';
  }
}

const resolve = (options: unknown) => resolveOptions(options as SseModuleOptions);
const error = (name: string, got: string) =>
  expect.objectContaining({
    code: 'SSE_OPTIONS',
    message: expect.stringMatching(`^SseModule: expected \`${name}\` .*${got}`),
  });

describe('Options', () => {
  it.each<[string, unknown]>([
    ['a Promise', Promise.resolve({ redis: 'redis://example.com' })],
    // oxlint-disable-next-line unicorn/no-thenable -- the slip itself
    ['an object', { then: () => undefined }],
    ['an array', []],
    ['a Map', new Map([['redis', 'redis://example.com']])],
    ['a URL', new URL('redis://example.com')],
    ['a Hidden', new Hidden()],
    ['a function', () => ({})],
    ['undefined', undefined],
  ])('are refused instead of ignored: %s', (name, options) => {
    expect(() => resolve(options)).toThrow(error('options', `got ${name}`));
    for (const key of ['history', 'limits'] as const) {
      if (options !== undefined) expect(() => resolve({ [key]: options })).toThrow(error(key, `got ${name}`));
    }
  });

  it('are refused with an unknown inherited name', () => {
    expect(() => resolve(Object.create({ redis: 'redis://example.com', heartbeat: 1 }))).toThrow(
      error('heartbeat', 'that name'),
    );
    const limits = Object.create({ streams: 1 }) as object;
    expect(() => resolve({ limits })).toThrow(error('limits.streams', 'that name'));
  });

  it('are read from a class instance or another object', () => {
    expect(resolve(new Settings())).toMatchObject({
      redis: 'redis://example.com:6379/0',
      history: { maxEvents: 5, explicit: true },
    });
    const inherited = Object.create({ redis: 'redis://example.com' }) as object;
    expect(resolve(inherited)).toMatchObject({ redis: 'redis://example.com' });
    expect(resolveRedis(new Server())).toMatchObject({ host: 'example.com' });
  });
});

describe('The option redis', () => {
  it.each<[string, unknown, string]>([
    ['redis', Promise.resolve('redis://example.com'), 'as text, .*got a Promise'],
    ['redis', new URL('redis://example.com'), 'a URL as text, .*got a URL'],
    ['redis', new Map([['host', 'example.com']]), 'got a Map'],
    ['redis', new Hidden(), 'got a Hidden'],
    ['redis', () => 'redis://example.com', 'got a function'],
    ['redis.url', { url: 'redis://example.com' }, 'one of the options host, port'],
    ['redis.uri', { uri: 'redis://example.com' }, 'one of the options'],
    ['redis.socket', { socket: { host: 'example.com' } }, 'one of the options'],
    ['redis.hsot', { hsot: 'example.com' }, 'one of the options'],
    ['redis.database', { host: 'example.com', database: 2 }, 'one of the options'],
    ['redis.url', Object.create({ url: 'redis://example.com' }), 'one of the options'],
    ['redis.password', { nodes: [7_000], password: 'x' }, 'one of the options nodes, redisOptions'],
    ['redis.host', { host: undefined }, 'got undefined'],
    ['redis.host', { host: '', port: 6379 }, 'got ""'],
    ['redis.host', { host: null }, 'got null'],
    ['redis.port', { host: 'example.com', port: undefined }, 'got undefined'],
    ['redis.port', { port: NaN }, 'got NaN'],
    ['redis.port', { port: 70_000 }, 'got 70000'],
    ['redis.path', { path: undefined }, 'got undefined'],
    ['redis.path', { path: '' }, 'got ""'],
    ['redis.db', { host: 'example.com', db: NaN }, 'got NaN'],
    ['redis.sentinels', { sentinels: [], name: 'm' }, 'got an array'],
    ['redis.sentinels', { sentinels: undefined, name: 'm' }, 'got undefined'],
    ['redis.sentinels', { sentinels: ['example.com'], name: 'm' }, 'got "example.com"'],
    ['redis.sentinels', { sentinels: [{}], name: 'm' }, 'got an object'],
    ['redis node.host', { sentinels: [{ host: undefined }], name: 'm' }, 'got undefined'],
    ['redis.name', { sentinels: [{ host: 'example.com' }] }, 'got undefined'],
    ['redis.nodes', { nodes: undefined }, 'got undefined'],
    ['redis.nodes', { nodes: [NaN] }, 'got NaN'],
    ['redis.nodes', { nodes: [new URL('redis://example.com')] }, 'got a URL'],
    ['redis.nodes', { nodes: [Promise.resolve('example.com')] }, 'got a Promise'],
    ['redis.nodes', { nodes: [{}] }, 'got an object'],
    ['redis node.host', { nodes: [{ host: undefined, port: 1 }] }, 'got undefined'],
    ['redis node url', { nodes: [{ port: 1, url: 'redis://example.com' }] }, 'one of the options'],
  ])('is refused if it would mean localhost, or another database: %s %j', (name, redis, got) => {
    expect(() => resolveRedis(redis)).toThrow(error(name, got));
  });

  it.each([
    { host: `redis://:${SECRET}@example.com` },
    { nodes: [{ host: `redis://:${SECRET}@example.com` }] },
    { nodes: [`x:${SECRET}@example.com`] },
    { sentinels: [{ host: `x:${SECRET}@example.com` }], name: 'm' },
    `redis://:se\n${SECRET}\n@example.com/x`,
    `redis://:${SECRET}%zz@example.com`,
    `unix:///run/%zz.sock?password=${SECRET}`,
  ])('is refused without its password: %j', (redis) => {
    expect(() => resolveRedis(redis)).toThrow(expect.objectContaining({ code: 'SSE_OPTIONS' }));
    expect(() => resolveRedis(redis)).not.toThrow(SECRET);
  });

  it.each([
    {},
    { password: undefined },
    { host: 'example.com', port: '6379', db: '2' },
    { host: '::1', sentinels: null, name: null },
    { path: '/run/redis.sock' },
    { sentinels: [{ host: 'example.com', port: 26_379 }, { port: 26_380 }], name: 'm' },
    { nodes: [7_000, 'example.com:7001', 'redis://:x@example.com', { host: 'example.com' }] },
  ])('is accepted if it names a server: %j', (redis) => {
    expect(resolveRedis(redis)).toEqual(redis);
    expect(resolveRedis(resolveRedis(redis))).toEqual(redis);
  });
});

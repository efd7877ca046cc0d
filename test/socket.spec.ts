import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { addressOf, resolveRedis } from '../src/options/redis-source.js';
import { runCli } from './support/cli.js';
import { startRedis } from './support/redis.js';
import { until } from './support/until.js';

describe('A Redis behind a Unix socket', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sse-socket-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it.each<[string, (path: string) => string | SseModuleOptions, number]>([
    ['its path', (path) => path, 0],
    ['its path as the option redis', (redis) => ({ redis }), 0],
    ['a URL with a database', (path) => `unix://${path}?db=2`, 2],
    ['a path with a database', (path) => `${path}?db=3`, 3],
    ['ioredis options', (path) => ({ redis: { path } }), 0],
  ])('is found by %s', async (_by, optionsOf, db) => {
    const path = join(dir, 'a redis.sock');
    const server = await startRedis(['--unixsocket', path]);
    const module = await Test.createTestingModule({
      imports: [SseModule.forRoot(optionsOf(path))],
    }).compile();
    const sse = module.get(SseService);
    const received: unknown[] = [];
    sse.messages('news').subscribe(({ data }) => received.push(data));
    await until(async () => (await sse.publish('x', { channel: 'news' }), received.length > 0));
    const admin = server.admin();
    await admin.select(db);
    expect(await admin.exists('sse:{news}:history')).toBe(1);
    admin.disconnect();
    await module.close();
  });

  it('is found by the command line', async () => {
    const path = join(dir, 'redis.sock');
    await startRedis(['--unixsocket', path]);
    const published = { code: 0, stdout: expect.stringMatching(/^\d+-\d+\n$/), stderr: '' };
    expect(await runCli(`sse publish --redis-url ${path}`, '1')).toEqual(published);
    expect(await runCli('sse publish', '1', { SSE_REDIS_URL: `unix://${path}?db=2` })).toEqual(published);
  });
});

describe('The destination of events', () => {
  const before = process.env.NODE_ENV;
  afterEach(() => {
    process.env.NODE_ENV = before;
    jest.restoreAllMocks();
  });

  it.each<[string, unknown, string]>([
    ['redis://:secret@localhost:6379/0', undefined, 'redis://localhost:6379/0'],
    ['rediss://user:secret@example.com/1?password=secret', undefined, 'rediss://example.com/1'],
    ['redis://example.com?db=2', undefined, 'redis://example.com/2'],
    ['unix:///run/redis.sock?db=2&password=secret', undefined, '/run/redis.sock, database 2'],
    ['', { host: 'h', port: 7, db: 1, password: 'secret' }, 'redis://h:7/1'],
    ['', {}, 'redis://localhost:6379/0'],
    [
      '',
      { nodes: ['redis://:secret@a:1', { host: 'b', port: 2 }, 3] },
      'the cluster of a:1, b:2, localhost:3',
    ],
    [
      '',
      { name: 'mymaster', sentinels: [{ host: 's', port: 4 }], sentinelPassword: 'secret' },
      'the master mymaster of the sentinels s:4',
    ],
    ['', { duplicate() {}, subscribe() {}, options: { host: 'redis://:secret@h' } }, 'redis://***@h:6379/0'],
    ['', { duplicate() {}, subscribe() {}, options: { path: 'x:secret@/run/r' } }, '***@/run/r, database 0'],
  ])('is reported without a password: %s %j', (url, options, expected) => {
    expect(addressOf(resolveRedis(options ?? url))).toBe(expected);
  });

  it.each<[string, string | undefined, 'log' | 'warn', RegExp]>([
    ['production', undefined, 'warn', /^Events stay in this process/],
    ['development', undefined, 'log', /^Events stay in this process/],
    [
      'production',
      'redis://:secret@127.0.0.1:1/0',
      'log',
      /^Events go through Redis: redis:\/\/127.0.0.1:1\/0, prefix sse:$/,
    ],
  ])('is in the log at start, in %s with %s', async (environment, redis, level, message) => {
    process.env.NODE_ENV = environment;
    const lines = jest.spyOn(Logger.prototype, level).mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const module = await Test.createTestingModule({ imports: [SseModule.forRoot(redis)] }).compile();
    await module.close();
    const told = lines.mock.calls.map(([line]) => String(line)).filter((line) => line.startsWith('Events'));
    expect(told).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    '/run/redis.sock?db=x',
    '/run/redis.sock?database=2',
    '/run/redis.sock?nodes=x',
    '/run/redis.sock?host=example.com',
    'unix://host/run/redis.sock',
    'unix:///',
    'unix:///run/%zz.sock',
    'run/redis.sock',
    'redis://example.com?database=2',
    'redis://example.com?db=x',
    'redis://example.com?nodes=x',
    'redis://:%zz@example.com',
  ])('is refused as %s', (redis) => {
    expect(() => resolveRedis(redis)).toThrow(
      expect.objectContaining({
        code: 'SSE_OPTIONS',
        message: expect.stringContaining('expected `redis` to be'),
      }),
    );
  });

  it.each([
    ['unix:///run/a%20b.sock?password=a?b&db=2', { path: '/run/a b.sock', password: 'a?b', db: 2 }],
    ['/run/a.sock?password=%3F&keyPrefix=x:', { path: '/run/a.sock', password: '?', keyPrefix: 'x:', db: 0 }],
    ['/run/a%zz.sock', { path: '/run/a%zz.sock', db: 0 }],
  ])('is a socket with its options in %s', (redis, expected) => {
    expect(resolveRedis(redis)).toEqual(expected);
  });

  it('is refused by the command line as bad usage', async () => {
    const { code, stderr } = await runCli('sse publish --redis-url unix:///run/%zz.sock', '1');
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('expected `redis` to be') });
  });
});

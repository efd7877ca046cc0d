import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { watchLog } from './support/log.js';
import { freePort } from './support/port.js';
import { Proxy } from './support/proxy.js';
import { startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

/** How an application behaves at start if Redis is unreachable or unsuitable. */
describe('At start', () => {
  const contexts: INestApplicationContext[] = [];
  const proxies: Proxy[] = [];
  const { failed, warned, logged } = watchLog();

  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    for (const proxy of proxies.splice(0)) proxy.close();
  });

  const start = async (options: SseModuleOptions) => {
    const context = await Test.createTestingModule({ imports: [SseModule.forRoot(options)] }).compile();
    contexts.push(context);
    return context.get(SseService);
  };
  /** A server whose INFO reply is changed to a text of the same length. */
  const startOther = async (said: string, instead: string) => {
    const proxy = await Proxy.start((await startRedis()).port);
    proxies.push(proxy);
    proxy.rewrite = (chunk) => Buffer.from(chunk.toString('latin1').replace(said, instead), 'latin1');
    return proxy.url;
  };
  const refusal = (message: string) => ({
    code: 'SSE_UNAVAILABLE',
    message: expect.stringContaining(message) as unknown,
  });

  it('an application starts without Redis, and logs the outage and its end once each', async () => {
    const port = await freePort();
    const sse = await start({ redis: `redis://127.0.0.1:${port}` });
    sse.messages().subscribe();
    await until(() => warned.mock.calls.length > 0);
    expect(sse.stats()).toMatchObject({ connected: false, state: 'down' });
    const server = await startRedis();
    proxies.push(await Proxy.start(server.port, port));
    await until(() => sse.stats().connected);
    await sse.publish('at last');
    expect(warned.mock.calls).toEqual([[expect.stringMatching(/^Redis is unreachable \(.*ECONNREFUSED/)]]);
    const said = logged.mock.calls.flat().filter((line) => String(line).startsWith('Redis is'));
    expect(said).toEqual([expect.stringContaining('Redis is back')]);
  });

  it('an application that requires Redis does not start without it', async () => {
    const redis = `redis://127.0.0.1:${await freePort()}`;
    const starting = expect(start({ redis, requireRedis: true })).rejects.toMatchObject(
      refusal('Redis is unreachable'),
    );
    await within(7_000, 'the refusal', starting);
  });

  it('an application that requires Redis waits for it, for up to 5 s', async () => {
    const port = await freePort();
    const starting = start({ redis: `redis://127.0.0.1:${port}`, requireRedis: true });
    await until(() => warned.mock.calls.length > 0);
    proxies.push(await Proxy.start((await startRedis()).port, port));
    const sse = await starting;
    expect(sse.stats().connected).toBe(true);
  });

  it.each([
    ['redis_version:7.', 'redis_version:5.', 'is too old: the module needs 6.2 or later'],
    ['redis_version:7.0.', 'redis_version:6.1.', 'is too old'],
  ])(
    'an application that requires Redis does not start with %s being %s, and others log it',
    async (said, instead, message) => {
      const redis = await startOther(said, instead);
      await expect(start({ redis, requireRedis: true })).rejects.toMatchObject(refusal(message));
      expect(failed).not.toHaveBeenCalled();
      await start({ redis });
      await until(() => failed.mock.calls.length > 0);
      expect(failed.mock.calls).toEqual([[expect.stringContaining(message)]]);
    },
  );

  it('an application that requires Redis does not start with a replica, and leaves no connection open; others log it', async () => {
    const master = await startRedis();
    const { url: redis } = await startRedis(['--replicaof', '127.0.0.1', `${master.port}`]);
    await expect(start({ redis, requireRedis: true })).rejects.toMatchObject(refusal('read-only replica'));
    expect(failed).not.toHaveBeenCalled();
    const admin = new Redis(redis);
    await until(async () => !String(await admin.client('LIST')).includes('name=sse:'));
    admin.disconnect();
    await start({ redis });
    await until(() => failed.mock.calls.length > 0);
    expect(failed.mock.calls).toEqual([[expect.stringContaining('read-only replica')]]);
  });

  it('accepts the oldest supported version', async () => {
    const redis = await startOther('redis_version:7.0.', 'redis_version:6.2.');
    await start({ redis, requireRedis: true });
    expect(failed).not.toHaveBeenCalled();
  });

  it('an application that requires Redis starts if it may not read the server version', async () => {
    // ioredis logs it with its own message.
    jest.spyOn(console, 'warn').mockReturnValue(undefined);
    const server = await startRedis();
    const admin = server.admin();
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-info');
    admin.disconnect();
    const sse = await start({ redis: server.url.replace('//', '//app:secret@'), requireRedis: true });
    await sse.publish('without INFO');
    expect(failed).not.toHaveBeenCalled();
  });

  it('an application that gets no reply logs it', async () => {
    const proxy = await Proxy.start((await startRedis()).port);
    proxies.push(proxy);
    proxy.dropUp = true;
    const starting = start({ redis: proxy.url.replace('redis:', 'rediss:'), requireRedis: true });
    await expect(starting).rejects.toMatchObject(refusal('Redis is unreachable: connect ETIMEDOUT'));
  });

  it('an application warns of a Redis that evicts keys', async () => {
    const { url } = await startRedis(['--maxmemory-policy', 'allkeys-lru']);
    await start({ redis: url, requireRedis: true });
    await until(() => warned.mock.calls.length > 0);
    expect(warned.mock.calls).toEqual([[expect.stringMatching(/noeviction \(it is allkeys-lru\)$/)]]);
  });

  it('an application that requires Redis does not start if none is configured', async () => {
    await expect(start({ redis: undefined, requireRedis: true })).rejects.toMatchObject({
      code: 'SSE_OPTIONS',
      message: 'SseModule: expected `redis` to be where Redis is, as `requireRedis` is true, got nothing',
    });
  });
});

import { describe, expect, it } from '@jest/globals';
import { compareCursors } from '../src/event/event.js';
import { publishing } from './support/publishing.js';
import type { SseError } from '../src/common/sse.errors.js';
import { until } from './support/until.js';

/** Redis refuses a script as a whole or from one of its commands on. No part of the publication remains. */
describe('A publication that Redis refuses', () => {
  const { redis, create, start, publish, entries, stored } = publishing();

  it('publishes after a rolled-back event, even if the chain is ahead of the clock', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const [refused, broker] = [
      await start(redis.server.url.replace('//', '//app:secret@')),
      await start(redis.server.url),
    ];
    await publish(broker, 0);
    const ahead = `${Date.now() + 3_600_000}-5`;
    await redis.admin.hset('sse:{a}:meta', 'cursor', ahead);
    await redis.admin.del('sse:{a}:history');
    await expect(publish(refused, 1)).rejects.toMatchObject({ mayBePublished: false });
    const id = await publish(broker, 2);
    expect(id.split('-')[0]).toBe(ahead.split('-')[0]);
    expect(compareCursors(id, ahead)).toBeGreaterThan(0);
    expect(await stored()).toEqual([2]);
  });

  it('publishes nothing and keeps no idempotency key if Redis forbids PUBLISH and history is off', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const broker = create(redis.server.url.replace('//', '//app:secret@'), false);
    const options = { idempotencyKey: 'k', id: 'own' };
    await expect(publish(broker, 1, options)).rejects.toMatchObject({ mayBePublished: false });
    expect(await redis.admin.keys('*')).toEqual([]);
    await redis.admin.acl('SETUSER', 'app', 'allchannels');
    expect(await publish(broker, 1, options)).toBe('own');
  });

  it('rolls back and does not deliver an event if the Redis user may not run the last command', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-pexpire');
    const broker = await start(redis.server.url.replace('//', '//app:secret@'));
    const listener = {
      texts: [] as string[],
      isSubscribed: false,
      onSubscribed: () => void (listener.isSubscribed = true),
      onInterrupted: () => undefined,
      onMessage: (text: string) => listener.texts.push(text),
    };
    broker.subscribe('a', listener);
    await until(() => listener.isSubscribed);
    const options = { id: 'own', idempotencyKey: 'k' };
    await expect(publish(broker, 1, options)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
    });
    expect([
      await entries(),
      await redis.admin.exists('sse:{a}:idempotency:k'),
      await redis.admin.hlen('sse:{a}:ids'),
    ]).toEqual([[], 0, 0]);
    await redis.admin.acl('SETUSER', 'app', '+pexpire');
    await publish(broker, 2, options);
    await until(() => listener.texts.length > 0);
    expect(listener.texts).toEqual([expect.stringContaining('"data":2')]);
    expect(await stored()).toEqual([2]);
  });

  it('rejects a publication and changes nothing when Redis runs out of memory', async () => {
    const broker = await start();
    await publish(broker, 0, { id: 'own' });
    const before = [await entries(), await redis.admin.hgetall('sse:{a}:meta')];
    await redis.admin.config('SET', 'maxmemory', '1mb');
    const rejection = {
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
      message: expect.stringContaining('OOM'),
    };
    const reject = () =>
      publish(broker, 1, { id: 'more', idempotencyKey: 'k' }).catch((error: Error) => error);
    // On a busy machine, the last answer may be missing when the time is over.
    const error = await until(reject, (each) => !(each as SseError).mayBePublished);
    expect(error).toMatchObject(rejection);
    expect([await entries(), await redis.admin.hgetall('sse:{a}:meta')]).toEqual(before);
    expect(await redis.admin.exists('sse:{a}:idempotency:k')).toBe(0);
    await redis.admin.config('SET', 'maxmemory', '0');
    await publish(broker, 1, { id: 'more', idempotencyKey: 'k' });
    expect(await stored()).toEqual([0, 1]);
  });

  it.each(['meta', 'history', 'ids', 'idempotency:k'])(
    'rejects a publication and changes nothing if the key %s has another type',
    async (name) => {
      const broker = await start();
      await redis.admin.set(`sse:{a}:${name}`, 'a string');
      if (name === 'idempotency:k')
        await redis.admin.del(`sse:{a}:${name}`).then(() => redis.admin.lpush(`sse:{a}:${name}`, 'x'));
      const rejection = {
        code: 'SSE_UNAVAILABLE',
        mayBePublished: false,
        message: expect.stringContaining('WRONGTYPE'),
      };
      await expect(publish(broker, 1, { id: 'own', idempotencyKey: 'k' })).rejects.toMatchObject(rejection);
      expect(await redis.admin.keys('*')).toEqual([`sse:{a}:${name}`]);
    },
  );
});

import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { moduleOnRedis } from './support/module-on-redis.js';
import { until } from './support/until.js';

/** How the module connects to Redis and uses it. Outages and refusals are in separate files. */
describe('With Redis', () => {
  const { redis, start, closeLast, collect, subscribers, subscribed } = moduleOnRedis();
  const connections = async () => {
    const list = (await redis.admin.client('LIST')) as string;
    return [...list.matchAll(/ name=(sse:\w+)/g)].map(([, name]) => name).toSorted();
  };

  it('has two connections and one subscription for 10,000 subscribers of a channel', async () => {
    const sse = await start();
    let received = 0;
    for (let n = 0; n < 10_000; n++) sse.messages('busy').subscribe(() => received++);
    await subscribed('busy', 1);
    await sse.publish('all', { channel: 'busy' });
    await until(() => received === 10_000);
    expect(await subscribers('busy')).toBe(1);
    expect(await connections()).toEqual(['sse:commands', 'sse:subscriber']);
  });

  it('subscribes to 2,000 channels in a few commands', async () => {
    const sse = await start();
    for (let n = 0; n < 2_000; n++) sse.messages(`c${n}`).subscribe();
    await until(
      async () => (await redis.admin.pubsub('CHANNELS')) as string[],
      // The module itself uses two channels.
      ({ length }) => length === 2_002,
    );
    const stats = await redis.admin.info('commandstats');
    expect(Number(/cmdstat_subscribe:calls=(\d+)/.exec(stats)![1])).toBeLessThanOrEqual(5);
  });

  it('opens no connection for receiving before the first subscription', async () => {
    const sse = await start();
    await sse.publish('one');
    expect(await connections()).toEqual(['sse:commands']);
  });

  it('unsubscribes a while after the last subscriber has disconnected, and not before', async () => {
    const sse = await start();
    const [one, two] = [sse.messages('a').subscribe(), sse.messages('a').subscribe()];
    await subscribed('a', 1);
    one.unsubscribe();
    two.unsubscribe();
    expect(await subscribers('a')).toBe(1);
    await until(
      () => subscribers('a'),
      (count) => count === 0,
    );
    expect(sse.stats()).toMatchObject({ channels: 0, connections: 0 });
  });

  it('duplicates the ioredis client of the application, and neither subscribes with it nor closes it', async () => {
    const own = new Redis(redis.server.url, { keyPrefix: 'app:' });
    const sse = await start(own);
    const events = collect(sse);
    await until(async () => (await subscribers('sse', 'app:sse:')) === 1);
    await sse.publish('hello');
    await until(() => events.length === 1);
    expect(own.mode).toBe('normal');
    expect((await redis.admin.keys('*')).toSorted()).toEqual([
      'app:sse:{!disconnect}:meta',
      'app:sse:{sse}:history',
      'app:sse:{sse}:meta',
    ]);
    await closeLast();
    expect(own.status).toBe('ready');
    expect(await own.ping()).toBe('PONG');
    own.disconnect();
  });

  it('accepts ioredis options', async () => {
    const sse = await start({ host: '127.0.0.1', port: redis.server.port });
    const events = collect(sse);
    await subscribed('sse', 1);
    await sse.publish('hello');
    await until(() => events.length === 1);
  });

  it('does not use another database if the configured one does not exist', async () => {
    const sse = await start(redis.server.url.replace(/0$/, '77'));
    await expect(sse.publish(1)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      message: expect.stringContaining('DB index is out of range'),
    });
    expect(await redis.admin.keys('*')).toEqual([]);
  });

  it('keeps its own settings, for any query in the URL', async () => {
    const sse = await start(`${redis.server.url}?keyPrefix=app:&enableOfflineQueue=true`);
    const events = collect(sse);
    await until(async () => (await subscribers('sse', 'app:sse:')) === 1);
    await sse.publish(1);
    await until(() => events.length === 1);
    expect((await redis.admin.keys('*')).toSorted()).toEqual([
      'app:sse:{!disconnect}:meta',
      'app:sse:{sse}:history',
      'app:sse:{sse}:meta',
    ]);
  });

  it('keeps positions for a day, events and publishers’ ids for `maxAgeMs`, and idempotency keys for ten minutes', async () => {
    const sse = await start();
    await sse.publish(1, { channel: 'a', id: 'own', idempotencyKey: 'k' });
    expect(await redis.admin.ttl('sse:{a}:meta')).toBeGreaterThan(86_390);
    expect(await redis.admin.ttl('sse:{a}:history')).toBeGreaterThan(590);
    expect(await redis.admin.ttl('sse:{a}:ids')).toBeGreaterThan(590);
    expect(await redis.admin.ttl('sse:{a}:idempotency:k')).toBeGreaterThan(590);
    expect((await redis.admin.keys('*')).toSorted()).toEqual(
      ['history', 'idempotency:k', 'ids', 'meta'].map((name) => `sse:{a}:${name}`),
    );
  });
});

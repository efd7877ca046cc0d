import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { checkPublication } from '../src/event/event.js';
import type { History } from '../src/options/sse.options.js';
import { until } from './support/until.js';
import { history } from './support/any-broker.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { closeAfterTest, redisChannel } from './support/redis-channel.js';

describe('A read from Redis', () => {
  const calls = async (admin: Redis) => {
    const stats = await admin.info('commandstats');
    return (command: string) =>
      Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  };
  const start = async (kept?: History) => {
    const server = await startRedis();
    const [broker, admin] = [new RedisSseBroker(server.url, 'sse:', kept), server.admin()];
    closeAfterTest(() => broker.close().finally(() => admin.disconnect()));
    return { broker, admin };
  };

  it('writes nothing soon after another read, whether the channel has events or not', async () => {
    const { broker, admin } = await start();
    await broker.publish('used', checkPublication(1, {}, 100));
    // Renewed once it has less than the full time left.
    await until(async () => {
      await broker.read('used', [], 0);
      return (await admin.pttl('sse:{used}:meta')) > 86_400_000;
    });
    await broker.read('unused', [], 0);
    const before = await calls(admin);
    for (let n = 0; n < 50; n++) for (const channel of ['used', 'unused']) await broker.read(channel, [], 0);
    const after = await calls(admin);
    expect(['expire', 'hset'].map((command) => after(command) - before(command))).toEqual([0, 0]);
  });

  it('fetches no entry to find the position of a channel, and no more large entries than it returns', async () => {
    const { broker, admin } = await start();
    const data = 'x'.repeat(1_000_000);
    const ids = [];
    for (let n = 0; n < 20; n++) ids.push(await broker.publish('a', checkPublication(data, {}, 1_048_576)));
    const before = await calls(admin);
    for (let n = 0; n < 10; n++) await broker.read('a', [], 0);
    await broker.read('a', [ids.at(-1)!], 100);
    const between = await calls(admin);
    expect(['xrange', 'xrevrange'].map((command) => between(command) - before(command))).toEqual([0, 0]);
    expect((await broker.read('a', [ids[0]!], 100)).events).toHaveLength(1);
    const after = await calls(admin);
    // One call looks for the position, and one for the events after it.
    expect(after('xrange') - between('xrange')).toBe(2);
  });

  it('reports that too much follows, even if ioredis returns numbers as strings', async () => {
    const { port, username, password } = new URL(redisUrl());
    const source = { port: Number(port), username, password, stringNumbers: true };
    const broker = new RedisSseBroker(source, randomPrefix());
    closeAfterTest(() => broker.close());
    const first = await broker.publish('a', checkPublication(1, {}, 100));
    for (let n = 0; n < 3; n++) await broker.publish('a', checkPublication(n, {}, 100));
    expect(await broker.read('a', [first], 10, { events: 2, size: 1_000 })).toMatchObject({
      isTooMuch: true,
    });
  });

  it('succeeds while Redis refuses writes, even for a channel without any key', async () => {
    const { broker, admin } = await start();
    const [first, second] = [
      await broker.publish('a', checkPublication(1, {}, 100)),
      await broker.publish('a', checkPublication(2, {}, 100)),
    ];
    await admin.config('SET', 'min-replicas-to-write', '1');
    expect(await broker.read('a', [first], 10)).toMatchObject({ tip: second, after: first, end: second });
    const { tip } = await broker.read('new', [], 0);
    expect(await admin.exists('sse:{new}:meta')).toBe(0);
    await admin.config('SET', 'min-replicas-to-write', '0');
    const third = await broker.publish('new', checkPublication(3, {}, 100));
    const page = await broker.read('new', [tip], 10);
    expect([page.end, page.events.map(({ cursor }) => cursor)]).toEqual([third, [third]]);
  });
});

describe('A channel in Redis', () => {
  it('continues its chain after Redis has lost the position, whether a read or a publication is first', async () => {
    const { broker, admin, key, publish } = redisChannel();
    const first = await publish(1);
    await admin.del(key('meta'));
    const second = await publish(2);
    await admin.del(key('meta'));
    const page = await broker.read('a', [first], 10);
    expect(page).toMatchObject({ tip: second, events: [{ prev: first, cursor: second }] });
  });

  it('keeps its position for a day after the last read', async () => {
    const { broker, admin, key, publish } = redisChannel();
    await publish(1);
    await admin.expire(key('meta'), 10);
    await broker.read('a', [], 0);
    expect(await admin.ttl(key('meta'))).toBeGreaterThan(86_390);
  });

  it('treats an id as new after its event was trimmed', async () => {
    const { broker, admin, key, publish } = redisChannel();
    await publish(1, { id: 'own' });
    const { tip } = await broker.read('a', [], 0);
    await admin.del(key('history'));
    await publish(2, { id: 'own' });
    const { events } = await broker.read('a', [tip], 10);
    expect(events.map(({ id, reused }) => [id, reused])).toEqual([['own', undefined]]);
  });

  it('stores a bounded number of publishers’ ids', async () => {
    const { admin, key, publish } = redisChannel(history({ maxEvents: 10 }));
    for (let n = 0; n < 50; n++) await publish(n, { id: `own${n}` });
    const counts = await Promise.all(['ids', 'ids:old'].map((name) => admin.hlen(key(name))));
    expect(counts).toEqual([10, 10]);
  });
});

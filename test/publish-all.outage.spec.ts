import { describe, expect, it } from '@jest/globals';
import type { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { checkPublication, compareCursors, type PublishOptions } from '../src/event/event.js';
import { SseError } from '../src/common/sse.errors.js';
import { numbers, publishing } from './support/publishing.js';
import { until } from './support/until.js';

type Listed = PublishOptions & { data: unknown };

const publishList = (broker: RedisSseBroker, list: readonly Listed[], channel = 'a') =>
  broker.publishAll(
    channel,
    list.map(({ data, ...options }) => checkPublication(data, options, 100_000)),
  );
const listOf = (from: number, to: number) => numbers(to - from).map((n) => ({ data: from + n }));

/** Replies or requests get lost, or Redis refuses. Each event of a list is stored once, in its place. */
describe('A list of events during an outage of Redis', () => {
  const { redis, create, start, publish, entries, stored } = publishing();
  /** Closes all connections once Redis has the given number of events, whose replies are lost. */
  const loseReply = async (count: number) => {
    await until(async () => (await entries()).length >= count);
    redis.proxy.cut();
    redis.proxy.dropDown = false;
  };

  it('is stored once when its reply is lost, and its ids are found', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.proxy.dropDown = true;
    const calls = [
      publishList(broker, listOf(1, 50)),
      publish(broker, 50),
      publishList(broker, listOf(51, 60)),
    ];
    await loseReply(60);
    const ids = (await Promise.all(calls)).flat();
    expect(await stored()).toEqual(numbers(60));
    expect(ids).toEqual((await entries()).slice(1));
  });

  it('is found by its last events if the history does not reach back to its first', async () => {
    const broker = await start(redis.proxy.url, { maxEvents: 10 });
    await publish(broker, 'first');
    redis.proxy.dropDown = true;
    const call = publishList(broker, [...listOf(0, 900), { data: 900, id: 'own' }, ...listOf(901, 903)]);
    await until(async () => (await stored()).at(-1) === 902);
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    const ids = await call;
    expect((await entries()).length).toBeLessThan(200);
    expect(ids.slice(901)).toEqual((await entries()).slice(-2));
    expect(ids[900]).toBe('own');
    const cursors = (ids as string[]).filter((id) => id !== 'own');
    expect(new Set(cursors).size).toBe(902);
    expect(cursors.toSorted(compareCursors)).toEqual(cursors);
  });

  it('knows the ids of its idempotency keys when its reply is lost', async () => {
    const broker = await start();
    const first = await publish(broker, 0, { idempotencyKey: 'known' });
    redis.proxy.dropDown = true;
    const calls = [
      publishList(broker, [
        { data: 1, idempotencyKey: 'x' },
        { data: 'again', idempotencyKey: 'known' },
        { data: 2 },
        { data: 3, transient: true },
        { data: 'again', idempotencyKey: 'x' },
        { data: 4 },
      ]),
      publishList(broker, [
        { data: 'again', idempotencyKey: 'known' },
        { data: 5, idempotencyKey: 'y', id: 'own' },
      ]),
    ];
    await loseReply(5);
    const ids = await Promise.all(calls);
    expect(await stored()).toEqual([0, 1, 2, 4, 5]);
    const [, x, plain, last] = await entries();
    expect(ids).toEqual([
      [x, first, plain, '', x, last],
      [first, 'own'],
    ]);
  });

  it('is stored once and in order when Redis hangs for a while', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.server.signal('SIGSTOP');
    const calls = [
      publishList(broker, listOf(1, 2_500)),
      publish(broker, 2_500),
      publishList(broker, listOf(2_501, 2_600)),
    ];
    setTimeout(() => redis.server.signal('SIGCONT'), 3_300);
    const ids = (await Promise.all(calls)).flat();
    expect(ids).toEqual((await entries()).slice(1));
    expect(await stored()).toEqual(numbers(2_600));
  });

  it('keeps the order when the connection breaks again and again', async () => {
    const broker = await start();
    const calls: Promise<unknown>[] = [];
    let n = 0;
    for (let round = 0; round < 60; round++) {
      calls.push(publishList(broker, listOf(n, n + 20)), publish(broker, n + 20));
      n += 21;
      if (round % 12 === 6) redis.proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const ids = (await Promise.all(calls)).flat();
    expect(await stored()).toEqual(numbers(n));
    expect(ids).toEqual(await entries());
  });

  it('stores none of the calls behind one that was not stored', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.proxy.dropUp = true;
    // It is in three calls.
    const list = publishList(broker, listOf(1, 2_501));
    const outcomes = await list;
    redis.proxy.dropUp = false;
    redis.proxy.cut();
    expect(outcomes).toHaveLength(2_500);
    expect(outcomes.every((each) => each instanceof SseError && each.code === 'SSE_UNAVAILABLE')).toBe(true);
    await until(() => broker.connected);
    await publish(broker, 'then');
    expect(await stored()).toEqual([0, 'then']);
  });

  it('is rejected as a whole where it does not fit, and nothing of it is stored', async () => {
    const broker = create('redis://127.0.0.1:1');
    const refused = await publishList(broker, listOf(0, 100_001));
    expect(refused).toHaveLength(100_001);
    expect(refused[0]).toMatchObject({
      code: 'SSE_UNAVAILABLE',
      message: expect.stringContaining('await publish()'),
      mayBePublished: false,
    });
    const large = await publishList(broker, Array<Listed>(700).fill({ data: 'x'.repeat(99_000) }));
    expect(new Set(large).size).toBe(1);
    const waiting = publishList(broker, listOf(0, 99_999));
    await Promise.all([
      publish(broker, 1).catch(() => undefined),
      expect(publish(broker, 1)).rejects.toThrow('await'),
    ]);
    expect((await waiting).every((each) => each instanceof SseError)).toBe(true);
  });
});

/** Redis refuses the script as a whole, or from one of its commands on. */
describe('A list of events that Redis refuses', () => {
  const { redis, create, start, publish, entries, stored } = publishing();
  const LIST = [{ data: 1 }, { data: 2, id: 'own', idempotencyKey: 'k' }, { data: 3 }];

  it.each(['publish', 'pexpire', 'xtrim', 'set'])(
    'is undone if the Redis user may not run %s',
    async (name) => {
      await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', `-${name}`);
      const texts: string[] = [];
      const listener = { onSubscribed: () => texts.push('subscribed'), onInterrupted: () => undefined };
      const other = await start(redis.server.url);
      other.subscribe('a', { ...listener, onMessage: (text) => texts.push(text) });
      await until(() => texts.length === 1);
      await publish(other, 0);
      await redis.admin.persist('sse:{a}:history');
      const before = [await entries(), await redis.admin.hget('sse:{a}:meta', 'cursor')];
      const broker = create(redis.server.url.replace('//', '//app:secret@'));
      await until(() => broker.connected);
      if (name === 'pexpire') await redis.admin.pexpire('sse:{a}:history', 1_000);
      const [first, ...rest] = await publishList(broker, LIST);
      expect(first).toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: false });
      expect(rest).toEqual([first, first]);
      expect([await entries(), await redis.admin.hget('sse:{a}:meta', 'cursor')]).toEqual(before);
      expect(await redis.admin.exists('sse:{a}:idempotency:k')).toBe(0);
      expect(await redis.admin.hlen('sse:{a}:ids')).toBe(0);
      await redis.admin.acl('SETUSER', 'app', `+${name}`);
      const ids = await publishList(broker, LIST);
      await until(() => texts.length === 5);
      expect(await stored()).toEqual([0, 1, 2, 3]);
      expect([ids[0], ids[2]]).toEqual([(await entries())[1], (await entries())[3]]);
    },
  );

  it('is not stored without memory, and then in order', async () => {
    const broker = await start();
    await publish(broker, 0);
    const before = [await entries(), await redis.admin.hgetall('sse:{a}:meta')];
    await redis.admin.config('SET', 'maxmemory', '1mb');
    const calls = [publishList(broker, LIST), publish(broker, 4)];
    await until(async () => (await redis.admin.info('errorstats')).includes('OOM'));
    expect([await entries(), await redis.admin.hgetall('sse:{a}:meta')]).toEqual(before);
    await redis.admin.config('SET', 'maxmemory', '0');
    await Promise.all(calls);
    expect(await stored()).toEqual([0, 1, 2, 3, 4]);
  });

  it('keeps no idempotency key if PUBLISH is forbidden and history is off', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const broker = create(redis.server.url.replace('//', '//app:secret@'), false);
    const [first] = await publishList(broker, LIST);
    expect(first).toMatchObject({ mayBePublished: false });
    expect(await redis.admin.keys('*')).toEqual([]);
    await redis.admin.acl('SETUSER', 'app', 'allchannels');
    expect(await publishList(broker, LIST)).toEqual(['', 'own', '']);
  });

  it('loads its script again after Redis has flushed it, and keeps the order', async () => {
    const broker = await start();
    await publishList(broker, LIST.slice(0, 1));
    await redis.admin.script('FLUSH');
    const calls = [
      publishList(broker, [{ data: 2 }]),
      publish(broker, 3),
      publishList(broker, [{ data: 4 }]),
    ];
    await Promise.all(calls);
    expect(await stored()).toEqual(numbers(5).slice(1));
  });
});

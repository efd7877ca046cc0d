import { describe, expect, it } from '@jest/globals';
import { compareCursors } from '../src/event/event.js';
import { SseError } from '../src/common/sse.errors.js';
import { type Listed, listOf, numbers, publishing, publishList } from './support/publishing.js';
import { startService } from './support/typed-channels.js';
import { until } from './support/until.js';

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

  it('stores none of the calls behind one that Redis has refused, although they reach it', async () => {
    const broker = await start();
    await publish(broker, 0);
    // The script cannot read it.
    await redis.admin.hset('sse:{a}:idempotency:k', 'a', 'hash');
    const list = [{ data: 'refused', idempotencyKey: 'k' }, ...listOf(1, 2_500)];
    const outcomes = (await publishList(broker, list)) as SseError[];
    expect(await redis.admin.info('errorstats')).toMatch(/errorstat_UNORDERED\S*count=2\b/);
    expect(outcomes).toHaveLength(2_500);
    expect(new Set(outcomes.map(({ mayBePublished }) => mayBePublished))).toEqual(new Set([false]));
    expect(outcomes[999]!.message).toContain('WRONGTYPE');
    expect(outcomes[1_000]!.message).toBe(
      'Not published: an earlier event of the list and channel was not confirmed',
    );
    await publish(broker, 'then');
    expect(await stored()).toEqual([0, 'then']);
  });

  it('fits where nothing is pending, up to the longest that is accepted', async () => {
    const broker = await start(redis.server.url, { maxEvents: 10 });
    const list = numbers(1_024).map((n) => ({ data: 'x'.repeat(65_534), type: `type${n}` }));
    expect((await publishList(broker, list)).every((each) => typeof each === 'string')).toBe(true);
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
    const large = await publishList(
      broker,
      numbers(700).map(() => ({ data: 'x'.repeat(99_000) })),
    );
    expect(new Set(large).size).toBe(1);
    const waiting = publishList(broker, listOf(0, 99_999));
    await Promise.all([
      publish(broker, 1).catch(() => undefined),
      expect(publish(broker, 1)).rejects.toThrow('await'),
    ]);
    expect((await waiting).every((each) => each instanceof SseError)).toBe(true);
  });
});

describe('The calls for a list', () => {
  const { redis, create, start } = publishing();
  const service = () => startService({ redis: redis.proxy.url });
  const failing = (call: Promise<unknown>) => call.catch((error: unknown) => error) as Promise<SseError>;

  it('are one for each 1,000 events and each 1 Mi characters of a channel', async () => {
    const broker = await start();
    // Loads the script. A single event would take that of `publish()`.
    await publishList(broker, listOf(0, 2));
    const calls = async (list: readonly Listed[]) => {
      await redis.admin.config('RESETSTAT');
      await publishList(broker, list);
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.admin.info('commandstats'))![1]);
    };
    expect(await calls(listOf(0, 1_000))).toBe(1);
    expect(await calls(listOf(0, 2_001))).toBe(3);
    expect(await calls(numbers(22).map(() => ({ data: 'x'.repeat(99_900) })))).toBe(3);
  });

  it('give events that may be published as unknown, if Redis does not answer', async () => {
    const sse = await service();
    await sse.publish('first', { channel: 'a' });
    redis.proxy.dropDown = true;
    const list = [
      { channel: 'a', data: 1 },
      { channel: 'b', data: 2 },
      { channel: 'a', data: 3, transient: true },
    ];
    const error = await failing(sse.publishAll(list));
    expect(error).toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: true });
    expect(error.message).toMatch(/^Published 0 of 3 events: Redis did not answer/);
    expect(error.outcomes.map(({ status }) => status)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(error.outcomes.map(({ id }) => id)).toEqual([undefined, undefined, undefined]);
    expect(sse.stats()).toMatchObject({ published: 1, rejected: 3 });
  });

  it('give events as rejected if Redis is unreachable', async () => {
    const broker = create('redis://127.0.0.1:1');
    const sse = await startService({ redis: 'redis://127.0.0.1:1' });
    const [error, outcomes] = await Promise.all([
      failing(sse.publishAll([{ data: 1 }])),
      publishList(broker, listOf(0, 3)),
    ]);
    expect(error).toMatchObject({ mayBePublished: false, outcomes: [{ status: 'rejected' }] });
    for (const each of outcomes) expect(each).toMatchObject({ mayBePublished: false });
  });
});

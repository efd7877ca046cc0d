import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { type ChannelListener, CONTROL_CHANNEL, type Page, type SseBroker } from '../src/broker/broker.js';
import { MemorySseBroker } from '../src/broker/memory.broker.js';
import { decodeMessage, type Message } from '../src/broker/message.js';
import { RedisSseBroker } from '../src/broker/redis.broker.js';
import { checkPublication, compareCursors, isCursor, type PublishOptions } from '../src/event.js';
import { type History, HISTORY_DEFAULTS, type SseHistoryOptions } from '../src/sse.options.js';
import { adminUrl, randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { until } from './support/until.js';

const CURSOR = /^\d{13}-\d{1,7}$/;

const withData = ({ json, ...message }: Message) => ({ ...message, data: JSON.parse(json) as unknown });

class RecordingListener implements ChannelListener {
  readonly messages: ReturnType<typeof withData>[] = [];
  subscribed = 0;
  interrupted = 0;

  onSubscribed(): void {
    this.subscribed++;
  }

  onInterrupted(): void {
    this.interrupted++;
  }

  onMessage(text: string): void {
    this.messages.push(withData(decodeMessage(text)!));
  }
}

/** A channel of a Redis broker, with what there is of it in Redis. */
const redis = (kept?: History) => {
  const prefix = randomPrefix();
  const [broker, admin] = [new RedisSseBroker(redisUrl(), prefix, kept), new Redis(adminUrl())];
  closing.push(() => broker.close().finally(() => admin.disconnect()));
  return {
    broker,
    admin,
    key: (name: string) => `${prefix}{a}:${name}`,
    publish: (data: unknown, options: PublishOptions = {}) =>
      broker.publish('a', checkPublication(data, options, 1_000)),
  };
};
const closing: (() => Promise<void>)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

const history = (given: SseHistoryOptions = {}) => ({ ...HISTORY_DEFAULTS, ...given, explicit: true });

/** What every broker promises, whatever it is made of. */
describe.each([
  ['memory', (kept?: History | false) => new MemorySseBroker(kept)],
  ['Redis', (kept?: History | false) => new RedisSseBroker(redisUrl(), randomPrefix(), kept)],
] as const)('The %s broker', (_, create) => {
  let broker: SseBroker;

  beforeEach(() => {
    broker = create();
  });
  afterEach(() => broker.close());

  const publish = (channel: string, data: unknown, options: PublishOptions = {}) =>
    broker.publish(channel, checkPublication(data, options, 1_000_000));

  const subscribe = async (channel: string) => {
    const listener = new RecordingListener();
    broker.subscribe(channel, listener);
    await until(() => listener.subscribed);
    await broker.read(channel, [], 0);
    return listener;
  };

  it('is connected when it can be used', () => until(() => broker.connected));

  it('takes nothing once it is closed', async () => {
    await publish('a', 1);
    await broker.close();
    await expect(publish('a', 2)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      message: 'Not published: the application is closing',
      mayBePublished: false,
    });
  });

  it('delivers what is published after onSubscribed, with everything the publisher gave', async () => {
    const listener = await subscribe('a');
    const cursor = await publish('a', { deep: [1, 'é'] }, { type: 't', retry: 5 });
    await publish('a', 'text', { id: 'own' });
    const [first, second] = await until(
      () => listener.messages,
      ({ length }) => length === 2,
    );
    expect(first).toEqual({
      data: { deep: [1, 'é'] },
      type: 't',
      retry: 5,
      id: cursor,
      cursor,
      prev: expect.stringMatching(CURSOR),
      size: expect.any(Number),
    });
    expect(second).toMatchObject({
      data: 'text',
      id: 'own',
      cursor: expect.stringMatching(CURSOR),
      prev: cursor,
    });
  });

  it('gives increasing cursors, each naming the one before it', async () => {
    const listener = await subscribe('a');
    const ids = await Promise.all(Array.from({ length: 500 }, (__, n) => publish('a', n)));
    await until(() => listener.messages.length === 500);
    expect(ids.every(isCursor)).toBe(true);
    expect(listener.messages.map(({ cursor }) => cursor)).toEqual(ids);
    expect(listener.messages.slice(1).map(({ prev }) => prev)).toEqual(ids.slice(0, -1));
    expect(ids.slice(1).every((id, index) => compareCursors(ids[index]!, id) < 0)).toBe(true);
  });

  it('keeps the order of the calls, without awaiting them', async () => {
    const listener = await subscribe('a');
    for (let n = 0; n < 200; n++) void publish('a', n);
    await until(() => listener.messages.length === 200);
    expect(listener.messages.map(({ data }) => Number(data))).toEqual(
      Array.from({ length: 200 }, (__, n) => n),
    );
  });

  it('sends a transient event as it is, and leaves the position', async () => {
    const listener = await subscribe('a');
    const { tip } = await broker.read('a', [], 0);
    expect(await publish('a', 'now', { transient: true })).toBe('');
    await until(() => listener.messages.length === 1);
    expect(listener.messages).toEqual([{ data: 'now', size: expect.any(Number) }]);
    expect(await broker.read('a', [tip], 10)).toEqual({ tip, after: tip, events: [], end: tip });
  });

  it('publishes once per idempotency key and channel, also when the calls overlap', async () => {
    const listener = await subscribe('a');
    const ids = await Promise.all(
      [1, 2, 3].map((n) => publish('a', n, { idempotencyKey: 'k', id: `id${n}` })),
    );
    await publish('a', 'other', { idempotencyKey: 'k2' });
    await publish('b', 'elsewhere', { idempotencyKey: 'k' });
    await until(() => listener.messages.length === 2);
    expect(ids).toEqual(['id1', 'id1', 'id1']);
    expect(listener.messages.map(({ data }) => data)).toEqual([1, 'other']);
  });

  it('keeps channels apart', async () => {
    const [a, b] = [await subscribe('a'), await subscribe('b')];
    await publish('a', 'for a');
    await publish('b', 'for b');
    await until(() => a.messages.length === 1 && b.messages.length === 1);
    expect([a.messages[0]!.data, b.messages[0]!.data]).toEqual(['for a', 'for b']);
  });

  it('does not call a listener after unsubscribe, and calls a new one', async () => {
    const [old, neverCalled] = [await subscribe('a'), new RecordingListener()];
    void publish('a', 0);
    broker.unsubscribe('a');
    broker.subscribe('a', neverCalled);
    broker.unsubscribe('a');
    const listener = new RecordingListener();
    broker.subscribe('a', listener);
    await until(() => listener.subscribed);
    await publish('a', 1);
    await until(() => listener.messages.at(-1)?.data === 1);
    expect(old.messages).toEqual([]);
    expect(neverCalled).toEqual(new RecordingListener());
  });

  it('delivers an event published from within a listener after the one that is being delivered', async () => {
    const listener = new (class extends RecordingListener {
      override onMessage(text: string): void {
        if (text.includes('question')) void publish('a', 'answer');
        super.onMessage(text);
      }
    })();
    broker.subscribe('a', listener);
    await until(() => listener.subscribed);
    await publish('a', 'question');
    await until(() => listener.messages.length === 2);
    expect(listener.messages.map(({ data }) => data)).toEqual(['question', 'answer']);
  });

  it('gives subscribers a copy of the data', async () => {
    const listener = await subscribe('a');
    const data = { n: 1 };
    const published = publish('a', data);
    data.n = 2;
    await published;
    await until(() => listener.messages.length === 1);
    expect(listener.messages[0]!.data).toEqual({ n: 1 });
  });

  describe('keeps a history, which', () => {
    const publishAll = (count: number, options?: (n: number) => PublishOptions) =>
      Promise.all(Array.from({ length: count }, (__, n) => publish('a', n, options?.(n))));
    const dataOf = ({ events }: Page) => events.map(({ json }) => Number(json));
    const range = (from: number, to: number) => Array.from({ length: to - from }, (__, n) => from + n);

    it('begins at a position before the first event, whoever asked or published first', async () => {
      const { tip: genesis } = await broker.read('read first', [], 0);
      expect((await broker.read('read first', [], 0)).tip).toBe(genesis);
      await publish('read first', 0);
      expect((await broker.read('read first', [genesis], 10)).events).toMatchObject([{ prev: genesis }]);
      const first = await publish('published first', 0);
      const { events } = await broker.read('published first', [first], 10);
      expect(events).toEqual([]);
      const page = await broker.read('published first', ['1763884800000-1'], 10);
      expect(page).toEqual({ tip: first, after: undefined, events: [], end: first });
    });

    it('gives what follows a cursor, as it was sent', async () => {
      const listener = await subscribe('a');
      const [first, , , last] = await publishAll(4, (n) => (n === 2 ? { type: 't', retry: 5 } : {}));
      await until(() => listener.messages.length === 4);
      const page = await broker.read('a', [first!], 10);
      const sizeless = (message: object) => ({ ...message, size: 0 });
      expect(page.events.map(withData).map(sizeless)).toEqual(listener.messages.slice(1).map(sizeless));
      expect(page).toMatchObject({ tip: last, after: first, end: last });
    });

    it('comes in pages, each of which says where it ends', async () => {
      const ids = await publishAll(45);
      const seen: number[] = [];
      let position = ids[0]!;
      for (let page; page?.end !== ids.at(-1); position = page.end) {
        page = await broker.read('a', [position], 20);
        expect(page.events.length).toBeLessThanOrEqual(20);
        seen.push(...dataOf(page));
      }
      expect(seen).toEqual(range(1, 45));
    });

    it('comes in smaller pages where events are large', async () => {
      const data = 'x'.repeat(100_000);
      const ids = await Promise.all(range(0, 30).map(() => publish('a', data)));
      const { events, end } = await broker.read('a', [ids[0]!], 100);
      // The one that goes over the bound of 512 KiB is the last.
      expect(events.length).toBe(6);
      expect(end).toBe(ids[events.length]);
    });

    it('gives none of what follows where that is more than the bounds allow', async () => {
      const data = 'x'.repeat(1_000);
      const [first, ...ids] = await Promise.all(range(0, 151).map(() => publish('a', data)));
      const read = (events: number, size: number) => broker.read('a', [first!], 100, { events, size });
      const tip = ids.at(-1)!;
      for (const [events, size] of [
        [149, 1_000_000],
        [1_000, 149_000],
        [50, 1_000_000],
        [1_000, 10],
      ] as const) {
        expect(await read(events, size)).toEqual({
          tip,
          after: first,
          events: [],
          end: tip,
          isTooMuch: true,
        });
      }
      const page = await read(150, 1_000_000);
      expect([page.events.length, page.end]).toEqual([100, ids[99]]);
      expect(await broker.read('a', [tip], 100, { events: 0, size: 0 })).toMatchObject({
        events: [],
        end: tip,
      });
    });

    it('goes on from the first of several positions that it knows', async () => {
      const ids = await publishAll(5);
      const page = await broker.read('a', ['1763884800000-1', ids[3]!, ids[1]!], 10);
      expect(page).toMatchObject({ after: ids[3], end: ids[4] });
      expect(dataOf(page)).toEqual([4]);
    });

    it.each([
      '1763884800000-1',
      '9999999999999999-9999999999999999',
      'never',
      '*',
      '-',
      '+',
      '$',
      '0-0',
      '(1-0',
    ])('does not know %s', async (position) => {
      const ids = await publishAll(3, () => ({ id: 'own' }));
      const { tip } = await broker.read('a', [], 0);
      expect(await broker.read('a', [position], 10)).toEqual({
        tip,
        after: undefined,
        events: [],
        end: tip,
      });
      expect(ids).toEqual(['own', 'own', 'own']);
    });

    it('knows the ids that publishers gave, each as its earliest event that is kept', async () => {
      await publishAll(6, (n) => (n % 2 === 1 ? { id: `own${n % 4}` } : {}));
      expect(dataOf(await broker.read('a', ['own1'], 10))).toEqual([2, 3, 4, 5]);
      expect(dataOf(await broker.read('a', ['own3'], 10))).toEqual([4, 5]);
    });

    it('says so where an id was used before', async () => {
      const listener = await subscribe('a');
      await publishAll(3, (n) => ({ id: n === 1 ? 'other' : 'same' }));
      await until(() => listener.messages.length === 3);
      const { events } = await broker.read('a', [listener.messages[0]!.prev!], 10);
      for (const messages of [listener.messages, events]) {
        expect(messages.map(({ reused }) => reused)).toEqual([undefined, undefined, true]);
      }
    });

    it('is bounded by count, and never ends in a gap', async () => {
      await broker.close();
      broker = create(history({ maxEvents: 150 }));
      const ids = await publishAll(400, (n) => ({ id: `own${n}` }));
      const { events } = await broker.read('a', ['own250'], 100);
      const cursors = [events[0]!.prev!, ...events.map(({ cursor }) => cursor)];
      expect(dataOf({ events } as Page)).toEqual(range(251, 351));
      expect((await broker.read('a', [cursors[0]!], 1)).after).toBe(cursors[0]);
      expect((await broker.read('a', ['own100'], 1)).after).toBeUndefined();
      expect(ids).toHaveLength(400);
    });

    it('goes on from the event before the oldest that is kept: nothing is missing', async () => {
      await broker.close();
      broker = create(history({ maxEvents: 100 }));
      const ids = await publishAll(1_000);
      const oldest = await until(async () => {
        const pages = await Promise.all(ids.map((id) => broker.read('a', [id], 1)));
        return pages.find(({ after }) => after !== undefined)!;
      });
      expect(oldest.events[0]!.prev).toBe(oldest.after);
      expect(ids.indexOf(oldest.after!)).toBeGreaterThanOrEqual(1_000 - 201);
    });

    it('is bounded by age, also where events go on', async () => {
      await broker.close();
      broker = create(history({ maxAgeMs: 300, maxEvents: 100_000 }));
      const old = await publishAll(250);
      await until(async () => {
        await publish('a', 'new');
        return (await broker.read('a', [old[0]!], 1)).after === undefined;
      });
      const fresh = await publish('a', 'fresh');
      await publish('a', 'last');
      expect((await broker.read('a', [fresh], 1)).events).toHaveLength(1);
    });

    it('ends with its age where nothing is published, and the position stays', async () => {
      await broker.close();
      broker = create(history({ maxAgeMs: 100 }));
      const [first, last] = await publishAll(2);
      await until(async () => (await broker.read('a', [first!], 1)).after === undefined);
      const page = await broker.read('a', [last!], 10);
      expect(page).toEqual({ tip: last, after: last, events: [], end: last });
      const listener = await subscribe('a');
      await publish('a', 'next');
      await until(() => listener.messages.length === 1);
      expect(listener.messages[0]).toMatchObject({ prev: last });
      expect((await broker.read('a', [last!], 10)).events).toHaveLength(1);
    });

    it('can be switched off: events are only sent', async () => {
      await broker.close();
      broker = create(false);
      const listener = new RecordingListener();
      broker.subscribe('a', listener);
      await until(() => listener.subscribed);
      expect(await publish('a', 1)).toBe('');
      expect(await publish('a', 2, { id: 'own' })).toBe('own');
      const keyed = [3, 4].map((n) => publish('a', n, { idempotencyKey: 'k', id: `id${n}` }));
      expect(await Promise.all(keyed)).toEqual(['id3', 'id3']);
      await until(() => listener.messages.length === 3);
      expect(listener.messages.map(({ data, id, cursor }) => [data, id, cursor])).toEqual([
        [1, undefined, undefined],
        [2, 'own', undefined],
        [3, 'id3', undefined],
      ]);
    });
  });
});

describe('Cursors', () => {
  it('increase whatever the clock does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -7_200_000, max: 7_200_000 }), { maxLength: 50 }),
        async (steps) => {
          const start = Date.now();
          const clock = jest.spyOn(Date, 'now').mockReturnValue(start);
          const memory = new MemorySseBroker();
          const ids: string[] = [];
          for (const step of steps) {
            clock.mockReturnValue(start + step);
            ids.push(await memory.publish('a', checkPublication(step, {}, 100)));
          }
          clock.mockRestore();
          expect(ids.slice(1).every((id, n) => compareCursors(ids[n]!, id) < 0)).toBe(true);
        },
      ),
      { seed: 20_261_123 },
    );
  });

  it('increase in Redis, too, when its clock was an hour ahead, and resume goes on', async () => {
    const { broker, admin, key, publish } = redis();
    const ahead = `${Date.now() + 3_600_000}-5`;
    await broker.read('a', [], 0);
    await admin.hset(key('meta'), 'cursor', ahead);
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push(await publish(n));
    const [ms] = ahead.split('-');
    expect(ids.every((id) => id.startsWith(`${ms}-`))).toBe(true);
    expect([ahead, ...ids].toSorted(compareCursors)).toEqual([ahead, ...ids]);
    const { events } = await broker.read('a', [ahead], 10);
    expect(events.map(({ cursor }) => cursor)).toEqual(ids);
  });
});

describe('Cursors in Redis', () => {
  it('are not given to other events by a replica whose clock is behind, and which lacks the last events', async () => {
    const { admin, key, publish } = redis();
    const ahead = `${Date.now() + 3_600_000}-5`;
    const branch = async () => {
      await admin.del(key('history'), key('meta'));
      await admin.hset(key('meta'), 'cursor', ahead);
      return Promise.all(Array.from({ length: 50 }, (_, n) => publish(n)));
    };
    const [lost, stored] = [await branch(), await branch()];
    expect(new Set([...lost, ...stored]).size).toBe(100);
  });
});

describe('A reading of Redis', () => {
  const calls = async (admin: Redis) => {
    const stats = await admin.info('commandstats');
    return (command: string) =>
      Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  };
  const start = async (kept?: History) => {
    const server = await startRedis();
    const [broker, admin] = [new RedisSseBroker(server.url, 'sse:', kept), server.admin()];
    closing.push(() => broker.close().finally(() => admin.disconnect()));
    return { broker, admin };
  };

  it('writes nothing soon after another one, whether anything was published or not', async () => {
    const { broker, admin } = await start();
    await broker.publish('used', checkPublication(1, {}, 100));
    for (const channel of ['used', 'unused']) await broker.read(channel, [], 0);
    const before = await calls(admin);
    for (let n = 0; n < 50; n++) for (const channel of ['used', 'unused']) await broker.read(channel, [], 0);
    const after = await calls(admin);
    expect(['expire', 'hset'].map((command) => after(command) - before(command))).toEqual([0, 0]);
  });

  it('copies no entry to see where a channel is, and no more large ones than it returns', async () => {
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
    // The position, and what follows it.
    expect(after('xrange') - between('xrange')).toBe(2);
  });

  it('says that there is too much also to a client that makes texts of numbers', async () => {
    const { port, username, password } = new URL(redisUrl());
    const source = { port: Number(port), username, password, stringNumbers: true };
    const broker = new RedisSseBroker(source, randomPrefix());
    closing.push(() => broker.close());
    const first = await broker.publish('a', checkPublication(1, {}, 100));
    for (let n = 0; n < 3; n++) await broker.publish('a', checkPublication(n, {}, 100));
    expect(await broker.read('a', [first], 10, { events: 2, size: 1_000 })).toMatchObject({
      isTooMuch: true,
    });
  });

  it('goes on while Redis takes no writes, also of a channel that nobody has read or published to', async () => {
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

describe('What memory keeps of a channel', () => {
  afterEach(() => void jest.useRealTimers());
  const publish = (broker: SseBroker, channel: string) =>
    broker.publish(channel, checkPublication(1, {}, 100));
  const kept = async (broker: SseBroker, channel: string) =>
    (await broker.read(channel, ['0000000000-0'], 100)).events.length;

  it('goes when it is old, also after the clock of the machine went back', async () => {
    jest.useFakeTimers();
    const broker = new MemorySseBroker(history({ maxAgeMs: 60_000 }));
    await publish(broker, 'a');
    jest.setSystemTime(Date.now() - 3_600_000);
    const freed = jest.spyOn(Map.prototype, 'delete');
    jest.advanceTimersByTime(75_000);
    const keys = freed.mock.calls.map(([key]) => String(key));
    freed.mockRestore();
    expect(keys).toContain('a');
    expect(await kept(broker, 'a')).toBe(0);
  });

  it('goes in about the time that it came in, also where hundreds of thousands of events go at once', async () => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
    const broker = new MemorySseBroker(history({ maxEvents: 1_000_000, maxAgeMs: 1_000_000 }));
    const timed = async (work: () => Promise<unknown>) => {
      const begun = performance.now();
      await work();
      return performance.now() - begun;
    };
    const coming = await timed(async () => {
      for (let n = 0; n < 300_000; n++) await publish(broker, 'a');
    });
    const later = performance.now() + 2_000_000;
    const clock = jest.spyOn(performance, 'now').mockReturnValue(later);
    const begun = process.hrtime.bigint();
    await publish(broker, 'a');
    const going = Number(process.hrtime.bigint() - begun) / 1e6;
    clock.mockRestore();
    expect(going).toBeLessThan(coming);
  });

  it('is the module’s own for an hour, whatever is set for others', async () => {
    jest.useFakeTimers();
    const broker = new MemorySseBroker(history({ maxAgeMs: 1_000 }));
    for (const channel of [CONTROL_CHANNEL, 'a']) await publish(broker, channel);
    jest.advanceTimersByTime(60_000);
    expect([await kept(broker, CONTROL_CHANNEL), await kept(broker, 'a')]).toEqual([1, 0]);
    jest.advanceTimersByTime(3_600_000);
    expect(await kept(broker, CONTROL_CHANNEL)).toBe(0);
  });
});

describe('What Redis keeps of a channel', () => {
  it('goes on where it has forgotten the position, whoever comes first', async () => {
    const { broker, admin, key, publish } = redis();
    const first = await publish(1);
    await admin.del(key('meta'));
    const second = await publish(2);
    await admin.del(key('meta'));
    const page = await broker.read('a', [first], 10);
    expect(page).toMatchObject({ tip: second, events: [{ prev: first, cursor: second }] });
  });

  it('keeps its position for a day from its last reader', async () => {
    const { broker, admin, key, publish } = redis();
    await publish(1);
    await admin.expire(key('meta'), 10);
    await broker.read('a', [], 0);
    expect(await admin.ttl(key('meta'))).toBeGreaterThan(86_390);
  });

  it('takes an id for a new one when the event that had it is gone', async () => {
    const { broker, admin, key, publish } = redis();
    await publish(1, { id: 'own' });
    const { tip } = await broker.read('a', [], 0);
    await admin.del(key('history'));
    await publish(2, { id: 'own' });
    const { events } = await broker.read('a', [tip], 10);
    expect(events.map(({ id, reused }) => [id, reused])).toEqual([['own', undefined]]);
  });

  it('has a bounded number of publishers’ ids', async () => {
    const { admin, key, publish } = redis(history({ maxEvents: 10 }));
    for (let n = 0; n < 50; n++) await publish(n, { id: `own${n}` });
    const counts = await Promise.all(['ids', 'ids:old'].map((name) => admin.hlen(key(name))));
    expect(counts).toEqual([10, 10]);
  });
});

import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { Page } from '../src/broker/broker.js';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { checkPublication } from '../src/event/event.js';
import { anyBroker, brokers, history } from './support/any-broker.js';
import { adminUrl, randomPrefix, redisUrl } from './support/redis.js';

const BOUNDS = { events: 1_000, size: 4_194_304 };
const ALL = { newest: Number.MAX_SAFE_INTEGER };

/** The start of a connection that begins with stored events. */
describe.each(brokers)('The newest events of the %s broker', (_, create) => {
  const { replace, publish, read } = anyBroker(create);
  const publishAll = (count: number, data = (n: number): unknown => n) =>
    Promise.all(Array.from({ length: count }, (__, n) => publish('a', data(n))));
  const dataOf = ({ events }: Page) => events.map(({ json }) => [JSON.parse(json)].flat()[0] as number);

  it('are as many as asked for, oldest first, with the position before them', async () => {
    const ids = await publishAll(5);
    const page = await read('a', { newest: 2 }, 10, BOUNDS);
    expect(dataOf(page)).toEqual([3, 4]);
    expect(page).toMatchObject({ tip: ids[4], after: ids[2], end: ids[4] });
    expect(page.isTruncated).toBeUndefined();
  });

  it.each([
    ['as many are stored', { newest: 5 }],
    ['fewer are stored', { newest: 6 }],
    ['all are asked for', ALL],
  ])('are all of them if %s, with the beginning of the channel', async (__, newest) => {
    const { tip: genesis } = await read('a', [], 0);
    await publishAll(5);
    const page = await read('a', newest, 10, BOUNDS);
    expect(dataOf(page)).toEqual([0, 1, 2, 3, 4]);
    expect([page.after, page.isTruncated]).toEqual([genesis, undefined]);
  });

  it('begin after evicted events', async () => {
    await replace(history({ maxEvents: 3 }));
    const ids = await publishAll(300);
    const page = await read('a', ALL, 1_000, BOUNDS);
    const first = dataOf(page)[0]!;
    expect(first).toBeGreaterThan(0);
    expect([page.after, page.isTruncated]).toEqual([ids[first - 1], undefined]);
    expect(dataOf(page).at(-1)).toBe(299);
  });

  it.each([
    ['events', { newest: 5 }, { ...BOUNDS, events: 3 }, [2, 3, 4], true],
    ['events, exactly', { newest: 3 }, { ...BOUNDS, events: 3 }, [2, 3, 4], undefined],
    ['all events, exactly', ALL, { ...BOUNDS, events: 5 }, [0, 1, 2, 3, 4], undefined],
    ['no events', ALL, { ...BOUNDS, events: 0 }, [], true],
    ['bytes', { newest: 5 }, { ...BOUNDS, size: 2_500 }, [3, 4], true],
    ['fewer bytes than one event has', ALL, { ...BOUNDS, size: 1 }, [], true],
  ])('are bounded by a number of %s', async (...[, newest, bounds, expected, isTruncated]) => {
    const ids = await publishAll(5, (n) => [n, 'x'.repeat(1_000)]);
    const page = await read('a', newest, 10, bounds);
    expect([dataOf(page), page.isTruncated]).toEqual([expected, isTruncated]);
    if (expected.length < 5) expect(page.after).toBe(ids[4 - expected.length]);
  });

  it('come in pages, of which this is the first', async () => {
    const ids = await publishAll(300);
    const page = await read('a', { newest: 250 }, 100, BOUNDS);
    expect([dataOf(page)[0], page.events.length, page.end]).toEqual([50, 100, ids[149]]);
    const next = await read('a', [page.end], 100);
    expect(dataOf(next)[0]).toBe(150);
  });

  it('come in smaller pages if they are large', async () => {
    await publishAll(20, () => 'x'.repeat(100_000));
    const page = await read('a', { newest: 12 }, 100, BOUNDS);
    expect([page.events.length, page.isTruncated]).toEqual([6, undefined]);
  });

  it('are none in a channel without events, at its beginning', async () => {
    const page = await read('a', ALL, 10, BOUNDS);
    expect(page).toMatchObject({ after: page.tip, events: [], end: page.tip });
    await publish('a', 1);
    expect(dataOf(await read('a', [page.after!], 10))).toEqual([1]);
  });
});

describe('The newest events in Redis', () => {
  it('follow entries of another program, which are left out', async () => {
    const [prefix, admin] = [randomPrefix(), new Redis(adminUrl())];
    const broker = new RedisSseBroker(redisUrl(), prefix);
    await admin.xadd(`${prefix}{a}:history`, '1-1', 'k', 'hello world');
    await broker.publish('a', checkPublication(7, {}, 100));
    const page = await broker.read('a', ALL, 10, BOUNDS);
    expect(page.events.map(({ json }) => json)).toEqual(['7']);
    expect((await broker.read('a', [page.after!], 10)).events).toHaveLength(1);
    admin.disconnect();
    await broker.close();
  });
});

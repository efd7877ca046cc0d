import { describe, expect, it } from '@jest/globals';
import type { Page } from '../src/broker/broker.js';
import type { PublishOptions } from '../src/event/event.js';
import { anyBroker, brokers, history, RecordingListener, withData } from './support/any-broker.js';
import { until } from './support/until.js';

/** The stored events, as every broker promises them. */
describe.each(brokers)('The history of the %s broker', (_, create) => {
  const { current, replace, publish, read, subscribe } = anyBroker(create);
  const publishAll = (count: number, options?: (n: number) => PublishOptions) =>
    Promise.all(Array.from({ length: count }, (__, n) => publish('a', n, options?.(n))));
  const dataOf = ({ events }: Page) => events.map(({ json }) => Number(json));
  const range = (from: number, to: number) => Array.from({ length: to - from }, (__, n) => from + n);

  it('begins at a position before the first event, whether a read or a publication is first', async () => {
    const { tip: genesis } = await read('read first', [], 0);
    expect((await read('read first', [], 0)).tip).toBe(genesis);
    await publish('read first', 0);
    expect((await read('read first', [genesis], 10)).events).toMatchObject([{ prev: genesis }]);
    const first = await publish('published first', 0);
    const { events } = await read('published first', [first], 10);
    expect(events).toEqual([]);
    const page = await read('published first', ['1763884800000-1'], 10);
    expect(page).toEqual({ tip: first, after: undefined, events: [], end: first });
  });

  it('returns the events after a cursor as subscribers got them', async () => {
    const listener = await subscribe('a');
    const [first, , , last] = await publishAll(4, (n) => (n === 2 ? { type: 't', retry: 5 } : {}));
    await until(() => listener.messages.length === 4);
    const page = await read('a', [first!], 10);
    const sizeless = (message: object) => ({ ...message, size: 0 });
    expect(page.events.map(withData).map(sizeless)).toEqual(listener.messages.slice(1).map(sizeless));
    expect(page).toMatchObject({ tip: last, after: first, end: last });
  });

  it('is read in pages that name their end', async () => {
    const ids = await publishAll(45);
    const seen: number[] = [];
    let position = ids[0]!;
    for (let page; page?.end !== ids.at(-1); position = page.end) {
      page = await read('a', [position], 20);
      expect(page.events.length).toBeLessThanOrEqual(20);
      seen.push(...dataOf(page));
    }
    expect(seen).toEqual(range(1, 45));
  });

  it('is read in smaller pages if events are large', async () => {
    const data = 'x'.repeat(100_000);
    const ids = await Promise.all(range(0, 30).map(() => publish('a', data)));
    const { events, end } = await read('a', [ids[0]!], 100);
    // A page ends with the event that exceeds 512 KiB.
    expect(events.length).toBe(6);
    expect(end).toBe(ids[events.length]);
  });

  it('returns no event if more events follow than the bounds allow', async () => {
    const data = 'x'.repeat(1_000);
    const [first, ...ids] = await Promise.all(range(0, 151).map(() => publish('a', data)));
    const readWithin = (events: number, size: number) => read('a', [first!], 100, { events, size });
    const tip = ids.at(-1)!;
    for (const [events, size] of [
      [149, 1_000_000],
      [1_000, 149_000],
      [50, 1_000_000],
      [1_000, 10],
    ] as const) {
      expect(await readWithin(events, size)).toEqual({
        tip,
        after: first,
        events: [],
        end: tip,
        isTooMuch: true,
      });
    }
    const page = await readWithin(150, 1_000_000);
    expect([page.events.length, page.end]).toEqual([100, ids[99]]);
    expect(await read('a', [tip], 100, { events: 0, size: 0 })).toMatchObject({
      events: [],
      end: tip,
    });
  });

  it('continues from the first of several positions that it knows', async () => {
    const ids = await publishAll(5);
    const page = await read('a', ['1763884800000-1', ids[3]!, ids[1]!], 10);
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
  ])('does not know the position %s', async (position) => {
    const ids = await publishAll(3, () => ({ id: 'own' }));
    const { tip } = await read('a', [], 0);
    expect(await read('a', [position], 10)).toEqual({
      tip,
      after: undefined,
      events: [],
      end: tip,
    });
    expect(ids).toEqual(['own', 'own', 'own']);
  });

  it('knows the ids of publishers, each as the position of its earliest stored event', async () => {
    await publishAll(6, (n) => (n % 2 === 1 ? { id: `own${n % 4}` } : {}));
    expect(dataOf(await read('a', ['own1'], 10))).toEqual([2, 3, 4, 5]);
    expect(dataOf(await read('a', ['own3'], 10))).toEqual([4, 5]);
  });

  it('marks an event whose id was used before', async () => {
    const listener = await subscribe('a');
    await publishAll(3, (n) => ({ id: n === 1 ? 'other' : 'same' }));
    await until(() => listener.messages.length === 3);
    const { events } = await read('a', [listener.messages[0]!.prev!], 10);
    for (const messages of [listener.messages, events]) {
      expect(messages.map(({ reused }) => reused)).toEqual([undefined, undefined, true]);
    }
  });

  it('is bounded by count, and has no gaps', async () => {
    await replace(history({ maxEvents: 150 }));
    const ids = await publishAll(400, (n) => ({ id: `own${n}` }));
    const { events } = await read('a', ['own250'], 100);
    const cursors = [events[0]!.prev!, ...events.map(({ cursor }) => cursor)];
    expect(dataOf({ events } as Page)).toEqual(range(251, 351));
    expect((await read('a', [cursors[0]!], 1)).after).toBe(cursors[0]);
    expect((await read('a', ['own100'], 1)).after).toBeUndefined();
    expect(ids).toHaveLength(400);
  });

  it('continues from the position before the oldest stored event, because nothing is missing', async () => {
    await replace(history({ maxEvents: 100 }));
    const ids = await publishAll(1_000);
    const oldest = await until(async () => {
      const pages = await Promise.all(ids.map((id) => read('a', [id], 1)));
      return pages.find(({ after }) => after !== undefined)!;
    });
    expect(oldest.events[0]!.prev).toBe(oldest.after);
    expect(ids.indexOf(oldest.after!)).toBeGreaterThanOrEqual(1_000 - 201);
  });

  it('is bounded by age while further events are published', async () => {
    await replace(history({ maxAgeMs: 300, maxEvents: 100_000 }));
    const old = await publishAll(250);
    await until(async () => {
      await publish('a', 'new');
      return (await read('a', [old[0]!], 1)).after === undefined;
    });
    const fresh = await publish('a', 'fresh');
    await publish('a', 'last');
    expect((await read('a', [fresh], 1)).events).toHaveLength(1);
  });

  it('expires if nothing is published, and the position stays', async () => {
    await replace(history({ maxAgeMs: 100 }));
    const [first, last] = await publishAll(2);
    await until(async () => (await read('a', [first!], 1)).after === undefined);
    const page = await read('a', [last!], 10);
    expect(page).toEqual({ tip: last, after: last, events: [], end: last });
    const listener = await subscribe('a');
    await publish('a', 'next');
    await until(() => listener.messages.length === 1);
    expect(listener.messages[0]).toMatchObject({ prev: last });
    expect((await read('a', [last!], 10)).events).toHaveLength(1);
  });

  it('can be switched off: events are delivered, but not stored', async () => {
    await replace(false);
    const listener = new RecordingListener();
    current.broker.subscribe('a', listener);
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

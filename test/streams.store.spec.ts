import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { StreamAppend, StreamStart } from '../src/broker/streams.js';
import { compareCursors } from '../src/event/event.js';
import { encodeStreamEnd, encodeStreamEvent } from '../src/event/message.js';
import { anyBroker, brokers } from './support/any-broker.js';
import { until } from './support/until.js';

const packOf = (...values: unknown[]) => ({
  count: values.length,
  events: `[${values.map((value) => encodeStreamEvent(JSON.stringify(value))).join(',')}]`,
});
const DONE = { status: 'done' } as const;
const lastPack = { count: 1, events: `[${encodeStreamEnd(JSON.stringify(DONE))}]` };

/** Streams, as every broker stores them. */
describe.each(brokers)('Streams of the %s broker', (_, create) => {
  const { current, publish, read } = anyBroker(create);
  const start = (id: string, given: Partial<StreamStart> = {}) => {
    const defaults = { owner: randomUUID(), leaseMs: 60_000, keepMs: 60_000 };
    return current.broker.streams.start(id, { ...defaults, replaces: false, needsReaders: false, ...given });
  };
  const append = (id: string, owner: string, given: Partial<StreamAppend> = {}) =>
    current.broker.streams.append(id, { owner, leaseMs: 60_000, number: 1, packs: [], ...given });
  const look = (id: string, hasReaders = false) => current.broker.streams.look(id, hasReaders);
  const dataOf = async (id: string, after: string) => {
    const { events } = await read(id, [after], 1_000);
    return events.map(({ json, type }) => (type ? [type, JSON.parse(json)] : JSON.parse(json)));
  };

  it('store packs in order, and the end with the last one', async () => {
    const { owner, generation, tip } = await start('a');
    expect(tip).toBe(generation);
    await append('a', owner, { packs: [packOf(1, 2), packOf(3)] });
    const state = await append('a', owner, { number: 3, packs: [packOf(4), lastPack], end: DONE });
    expect(state).toMatchObject({ owner, end: DONE });
    expect(await look('a')).toMatchObject({ owner, generation, end: DONE, number: 4 });
    expect(await dataOf('a', generation)).toEqual([1, 2, 3, 4, ['sse.end', DONE]]);
    expect((await read('a', [generation], 1_000)).tip).toBe((await look('a'))!.tip);
  });

  it('give every event a cursor of its own, from which it can be resumed, also inside a pack', async () => {
    const { owner, generation } = await start('a');
    const values = Array.from({ length: 67 }, (__, n) => n);
    await append('a', owner, { packs: [packOf(0), packOf(1, 2), packOf(...values.slice(3))] });
    const { events } = await read('a', [generation], 1_000);
    const cursors = events.map(({ cursor }) => cursor);
    expect(new Set(cursors).size).toBe(67);
    expect(cursors.slice(1).every((cursor, n) => compareCursors(cursors[n]!, cursor) < 0)).toBe(true);
    expect(events.slice(1).map(({ prev }) => prev)).toEqual(cursors.slice(0, -1));
    for (const [n, cursor] of cursors.entries()) {
      expect(await dataOf('a', cursor)).toEqual(values.slice(n + 1));
    }
  });

  it('do not know a position between two packs, or of another time', async () => {
    const { owner, generation } = await start('a');
    await append('a', owner, { packs: [packOf(1, 2)] });
    const [first] = (await read('a', [generation], 10)).events;
    const [ms, n] = first!.cursor.split('-').map(Number) as [number, number];
    for (const unknown of [`${ms - 1}-${n}`, `${ms + 1}-${n}`, `${ms}-${n + 2 ** 21}`]) {
      expect((await read('a', [unknown], 10)).after).toBeUndefined();
    }
  });

  it('count their events, also those in packs, against limits', async () => {
    const { owner, generation } = await start('a');
    const values = Array.from({ length: 67 }, (__, n) => n);
    await append('a', owner, { packs: [packOf(0), packOf(1, 2), packOf(...values.slice(3))] });
    const bounds = { events: 1_000, size: 1_000_000 };
    for (const newest of [0, 1, 5, 64, 65, 66, 67, 70]) {
      const page = await read('a', { newest }, 1_000, bounds);
      expect(page.events.map(({ json }) => JSON.parse(json))).toEqual(
        newest === 0 ? [] : values.slice(-newest),
      );
      expect(page.isTruncated).toBeUndefined();
    }
    const few = { events: 10, size: 1_000_000 };
    const truncated = await read('a', { newest: 20 }, 1_000, few);
    expect([truncated.events.length, truncated.isTruncated]).toEqual([10, true]);
    expect(await read('a', [generation], 1_000, { ...few, events: 66 })).toMatchObject({ isTooMuch: true });
    expect((await read('a', [generation], 1_000, { ...few, events: 67 })).events).toHaveLength(67);
  });

  it('store a pack once, also if its call is repeated together with later ones', async () => {
    const { owner, generation } = await start('a');
    await append('a', owner, { packs: [packOf(1), packOf(2)] });
    await append('a', owner, { packs: [packOf(1), packOf(2), packOf(3)] });
    await append('a', owner, { number: 2, packs: [packOf(2)] });
    await append('a', owner, { number: 4, packs: [lastPack], end: DONE });
    const again = await append('a', owner, { number: 4, packs: [lastPack], end: DONE });
    expect(again).toMatchObject({ owner, end: DONE });
    expect(await dataOf('a', generation)).toEqual([1, 2, 3, ['sse.end', DONE]]);
  });

  it('are started once, also if the call is repeated', async () => {
    const { generation } = await start('a', { owner: 'mine' });
    await append('a', 'mine', { packs: [packOf(1)] });
    expect(await start('a', { owner: 'mine' })).toMatchObject({ generation, owner: 'mine', number: 1 });
    expect(await start('a', { owner: 'mine', replaces: true })).toMatchObject({ generation, number: 1 });
    expect(await start('a', { owner: 'other' })).toMatchObject({ generation, owner: 'mine' });
    expect(await dataOf('a', generation)).toEqual([1]);
  });

  it('end as lost when the lease has expired, by the first call of any process, once', async () => {
    const { owner, generation } = await start('a', { leaseMs: 1_000 });
    await append('a', owner, { leaseMs: 1_000, packs: [packOf(1)] });
    let found = 0;
    await until(async () => {
      const states = await Promise.all([look('a'), look('a'), current.broker.streams.abort('a', 'user')]);
      found += states.filter((state) => state?.isLost).length;
      return states.every((state) => state?.end);
    });
    const lost = { status: 'lost', reason: 'lease' };
    expect(found).toBe(1);
    expect(await look('a')).toMatchObject({ end: lost, isLost: false });
    expect(await dataOf('a', generation)).toEqual([1, ['sse.end', lost]]);
  });

  it('take nothing from an owner whose lease has expired', async () => {
    const { owner, generation } = await start('a', { leaseMs: 1_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(await append('a', owner, { packs: [packOf(1)] })).toMatchObject({
      end: { status: 'lost' },
      isLost: true,
    });
    expect(await dataOf('a', generation)).toEqual([['sse.end', { status: 'lost', reason: 'lease' }]]);
  });

  it('are live while the lease is renewed', async () => {
    const { owner } = await start('a', { leaseMs: 1_000 });
    const since = performance.now();
    while (performance.now() - since < 2_500) {
      // A busy machine may take longer than the lease between two calls.
      const before = performance.now();
      await append('a', owner, { leaseMs: 1_000 });
      const state = await look('a');
      if (performance.now() - before < 500) expect(state!.leftMs).toBeGreaterThan(500);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });

  it('take nothing after their end, nor from another owner', async () => {
    const { owner, generation } = await start('a');
    expect(await append('a', 'another', { packs: [packOf('x')] })).toMatchObject({ owner });
    await append('a', owner, { packs: [lastPack], end: DONE });
    expect(await append('a', owner, { number: 2, packs: [packOf('x')] })).toMatchObject({ end: DONE });
    expect(await dataOf('a', generation)).toEqual([['sse.end', DONE]]);
    expect(await append('missing', owner, { packs: [packOf('x')] })).toBeUndefined();
  });

  it('are replaced: the first has its end before the second begins, and keeps no events', async () => {
    const first = await start('a');
    await append('a', first.owner, { packs: [packOf('old')] });
    const position = (await read('a', [first.generation], 1)).events[0]!.cursor;
    const second = await start('a', { replaces: true });
    expect(compareCursors(second.generation, position)).toBeGreaterThan(0);
    expect(await append('a', first.owner, { number: 2, packs: [packOf('zombie')] })).toMatchObject({
      owner: second.owner,
    });
    await append('a', second.owner, { packs: [packOf('new')] });
    expect(await dataOf('a', second.generation)).toEqual(['new']);
    expect((await read('a', [position], 1)).after).toBeUndefined();
    expect((await read('a', [first.generation], 1)).after).toBeUndefined();
  });

  it('start again after an end, with a later generation', async () => {
    const first = await start('a');
    await append('a', first.owner, { packs: [packOf(1), lastPack], end: DONE });
    const { tip } = (await look('a'))!;
    const second = await start('a');
    expect(compareCursors(second.generation, tip)).toBeGreaterThan(0);
    expect(await look('a')).not.toHaveProperty('end');
    expect((await read('a', [tip], 1)).after).toBeUndefined();
  });

  it('keep the first request to stop, and tell it to the owner', async () => {
    const { owner } = await start('a');
    expect(await current.broker.streams.abort('a', 'user')).toMatchObject({ abort: 'user' });
    expect(await current.broker.streams.abort('a', 'admin')).toMatchObject({ abort: 'user' });
    expect(await append('a', owner)).toMatchObject({ abort: 'user' });
    await append('a', owner, { packs: [lastPack], end: DONE });
    await start('a');
    expect(await look('a')).not.toHaveProperty('abort');
    expect(await current.broker.streams.abort('missing', 'user')).toBeUndefined();
  });

  it('tell the owner when they have had no reader for two leases, if they need one', async () => {
    const { owner } = await start('a', { leaseMs: 1_000, needsReaders: true });
    const other = await start('b', { leaseMs: 1_000 });
    const since = performance.now();
    await until(async () => {
      if (performance.now() - since < 1_000) await look('a', true);
      await append('b', other.owner, { leaseMs: 1_000 });
      return (await append('a', owner, { leaseMs: 1_000 }))?.isWatched === false;
    });
    expect(performance.now() - since).toBeGreaterThan(2_500);
    expect(await append('b', other.owner)).toMatchObject({ isWatched: true });
  });

  it('are gone when they have been kept long enough', async () => {
    const { owner } = await start('a', { keepMs: 1_000 });
    await append('a', owner, { packs: [packOf(1), lastPack], end: DONE, expiryMs: 1_000 });
    expect(await look('a')).toMatchObject({ end: DONE });
    await until(async () => (await look('a')) === undefined);
    await start('b', { leaseMs: 1_000, keepMs: 1_000 });
    await until(async () => (await look('b')) === undefined);
  });

  it('take the place of no channel with events, and no event of a publisher', async () => {
    await publish('used', 1);
    await expect(start('used')).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: 'Expected `id` to be no channel with events, got "used"',
    });
    await read('unused', [], 0);
    await start('unused');
    const refusal = { code: 'SSE_INPUT', mayBePublished: false };
    await expect(publish('unused', 1)).rejects.toMatchObject({
      ...refusal,
      message: 'Expected `channel` to be no stream, got "unused": only its producer writes to it',
    });
    await expect(publish('unused', 1, { id: 'own', idempotencyKey: 'k' })).rejects.toMatchObject(refusal);
  });
});

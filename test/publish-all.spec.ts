import { describe, expect, it } from '@jest/globals';
import type { SseError, SseEvent, SseEventInput, SseService } from 'nestjs-sse-channels';
import { SseStreams } from 'nestjs-sse-channels';
import { compareCursors } from '../src/event/event.js';
import { numbers } from './support/publishing.js';
import { stores } from './support/streams-app.js';
import { closeModule, moduleOf, startService } from './support/typed-channels.js';
import { until } from './support/until.js';

/** What live subscribers of the channels get from now on. */
async function subscribe(sse: SseService, ...channels: string[]) {
  const [events, live]: [SseEvent[], Set<string>] = [[], new Set()];
  for (const channel of channels) {
    sse.messages(channel).subscribe((event) => {
      if (event.data === 'ready') live.add(channel);
      else events.push(event);
    });
  }
  await until(async () => {
    for (const channel of channels) await sse.publish('ready', { channel });
    return live.size === channels.length;
  });
  return events;
}

/** What is stored of a channel. */
async function stored(sse: SseService, channel: string, count: number): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  const subscription = sse.messages(channel, { from: 'earliest' }).subscribe((event) => events.push(event));
  await until(() => events.length >= count);
  subscription.unsubscribe();
  return events;
}

const rejectionOf = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error('Expected a rejection');
    },
    (error: SseError) => error,
  );

describe.each(stores)('publishAll() %s', (_, store) => {
  it('publishes events with all options, and resolves with their ids in the order of the list', async () => {
    const sse = await startService(store());
    const events = await subscribe(sse, 'a', 'b', 'sse');
    const ids = await sse.publishAll([
      { channel: 'a', data: { n: 1 }, type: 'added', retry: 6_000 },
      { channel: 'b', data: 'text', id: 'own' },
      { data: [2] },
      { channel: 'a', data: 3, id: 77 },
      { channel: 'a', data: 4, transient: true },
      { channel: 'b', data: null },
    ]);
    await until(() => events.length === 6);
    const of = (channel: string) => events.filter((event) => event.channel === channel);
    expect(of('a')).toEqual([
      { id: ids[0], channel: 'a', type: 'added', retry: 6_000, data: { n: 1 } },
      { id: '77', channel: 'a', data: 3 },
      { id: expect.any(String), channel: 'a', data: 4 },
    ]);
    expect(of('b')).toEqual([
      { id: 'own', channel: 'b', data: 'text' },
      { id: ids[5], channel: 'b', data: null },
    ]);
    expect(of('sse')).toEqual([{ id: ids[2], channel: 'sse', data: [2] }]);
    expect([ids[1], ids[3], ids[4]]).toEqual(['own', '77', '']);
    expect(await sse.publishAll([])).toEqual([]);
  });

  it('keeps its place between calls of publish(), in every channel', async () => {
    const sse = await startService(store());
    const calls: Promise<unknown>[] = [];
    let n = 0;
    const next = (channel: string) => ({ channel, data: n++ });
    for (let round = 0; round < 30; round++) {
      calls.push(sse.publish(n++, { channel: 'a' }));
      calls.push(sse.publishAll([next('a'), next('b'), next('a')]));
      calls.push(sse.publish(n++, { channel: 'b' }));
      calls.push(sse.publishAll(Array.from({ length: 7 }, (__, at) => next(at % 2 ? 'a' : 'b'))));
    }
    const ids = (await Promise.all(calls)).flat() as string[];
    const all = [...(await stored(sse, 'a', 180)), ...(await stored(sse, 'b', 180))];
    expect(all).toHaveLength(n);
    expect(all.toSorted((x, y) => Number(x.data) - Number(y.data)).map(({ id }) => id)).toEqual(ids);
    for (const part of [all.slice(0, 180), all.slice(180)]) {
      const data = part.map((event) => event.data as number);
      expect(data).toEqual(data.toSorted((x, y) => x - y));
    }
  });

  it('publishes 10,000 events in order, and clients resume from the middle of them', async () => {
    const sse = await startService({ ...store(), history: { maxEvents: 20_000, maxReplayEvents: 20_000 } });
    const events = await subscribe(sse, 'many');
    const list = numbers(10_000).map((n) => ({ channel: 'many', data: n }));
    const ids = await sse.publishAll(list);
    expect(new Set(ids).size).toBe(10_000);
    expect(ids.toSorted(compareCursors)).toEqual(ids);
    await until(() => events.length === 10_000);
    expect(events.map(({ data }) => data)).toEqual(numbers(10_000));
    expect(events.map(({ id }) => id)).toEqual(ids);
    const rest: unknown[] = [];
    sse.messages('many', { lastEventId: ids[4_321]! }).subscribe(({ data }) => rest.push(data));
    await until(() => rest.length === 10_000 - 4_322);
    expect([rest[0], rest.at(-1)]).toEqual([4_322, 9_999]);
  });

  it('publishes once for each idempotency key, also within a list', async () => {
    const sse = await startService(store());
    const first = await sse.publish('known', { channel: 'a', idempotencyKey: 'known' });
    const list: SseEventInput[] = [
      { channel: 'a', data: 0, idempotencyKey: 'x' },
      { channel: 'a', data: 'again', idempotencyKey: 'known' },
      { channel: 'a', data: 1 },
      { channel: 'a', data: 2, idempotencyKey: 'x' },
      { channel: 'b', data: 3, idempotencyKey: 'x', id: 'own' },
      { channel: 'a', data: 4 },
    ];
    const ids = await sse.publishAll(list);
    expect([ids[1], ids[3], ids[4]]).toEqual([first, ids[0], 'own']);
    const again = await sse.publishAll(list.filter(({ idempotencyKey }) => idempotencyKey));
    expect(again).toEqual([ids[0], first, ids[0], 'own']);
    expect((await stored(sse, 'a', 4)).map(({ data }) => data)).toEqual(['known', 0, 1, 4]);
    expect((await stored(sse, 'a', 4)).map(({ id }) => id)).toEqual([first, ids[0], ids[2], ids[5]]);
    expect(await sse.publishAll([{ channel: 'a', data: 5, idempotencyKey: 'x' }])).toEqual([ids[0]]);
    expect(await sse.publish(6, { channel: 'a', idempotencyKey: 'x' })).toBe(ids[0]);
  });

  it('resumes after the first event of an id that the list has twice', async () => {
    const sse = await startService(store());
    await sse.publishAll([
      { channel: 'a', data: 0, id: 'same' },
      { channel: 'a', data: 1, id: 'other' },
      { channel: 'a', data: 2, id: 'same' },
      { channel: 'a', data: 3 },
    ]);
    const resumed = async (lastEventId: string, count: number) => {
      const data: unknown[] = [];
      const subscription = sse.messages('a', { lastEventId }).subscribe((event) => data.push(event.data));
      await until(() => data.length >= count);
      subscription.unsubscribe();
      return data;
    };
    expect(await resumed('same', 3)).toEqual([1, 2, 3]);
    expect(await resumed('other', 2)).toEqual([2, 3]);
  });

  it('writes nothing if one event is not acceptable, and names its place', async () => {
    const sse = await startService(store());
    const events = await subscribe(sse, 'a', 'b');
    const good = { channel: 'a', data: 1 };
    const { published } = sse.stats();
    const refused = rejectionOf(
      sse.publishAll([good, { channel: 'b', data: 2 }, { channel: 'a', data: () => 1 }]),
    );
    expect(await refused).toMatchObject({ code: 'SSE_INPUT', mayBePublished: false, outcomes: [] });
    expect((await refused).message).toMatch(/^Expected `events\[2\]\.data` to be serialisable/);
    await sse.publishAll([
      { channel: 'a', data: 'end' },
      { channel: 'b', data: 'end' },
    ]);
    await until(() => events.length === 2);
    expect(events.map(({ data }) => data)).toEqual(['end', 'end']);
    expect(sse.stats()).toMatchObject({ published: published + 2, rejected: 0 });
  });

  it('publishes without a history', async () => {
    const sse = await startService({ ...store(), history: false });
    const data: unknown[] = [];
    sse.messages('a').subscribe((event) => data.push([event.id, event.data]));
    // There is no position to wait for.
    await until(async () => {
      await sse.publish('ready', { channel: 'a' });
      return data.length > 0;
    });
    const ids = await sse.publishAll([
      { channel: 'a', data: 1 },
      { channel: 'a', data: 2, id: 'own', idempotencyKey: 'k' },
      { channel: 'a', data: 3, id: 'other', idempotencyKey: 'k' },
      { channel: 'a', data: 4, transient: true },
    ]);
    expect(ids).toEqual(['', 'own', 'own', '']);
    await until(() => JSON.stringify(data).endsWith('4]]'));
    const published = data.filter((event) => (event as unknown[])[1] !== 'ready');
    expect(published).toEqual([
      ['', 1],
      ['own', 2],
      ['', 4],
    ]);
  });

  it('says of each event what has become of it, if a channel of the list is a stream', async () => {
    const sse = await startService(store());
    const streams = moduleOf(sse).get(SseStreams);
    const writer = await streams.open('stream');
    const failed = await rejectionOf(
      sse.publishAll([
        { channel: 'a', data: 0, id: 'own' },
        { channel: 'stream', data: 1 },
        { channel: 'stream', data: 2, transient: true },
        { channel: 'a', data: 3 },
      ]),
    );
    expect(failed).toMatchObject({ code: 'SSE_INPUT', mayBePublished: true });
    expect(failed.message).toMatch(/^Published 2 of 4 events: Expected `channel` to be no stream/);
    const rejected = { status: 'rejected', error: expect.objectContaining({ code: 'SSE_INPUT' }) };
    const id = expect.stringMatching(/^\d+-\d+$/);
    expect(failed.outcomes).toEqual([
      { status: 'published', id: 'own' },
      rejected,
      rejected,
      { status: 'published', id },
    ]);
    await writer.end();
    expect((await stored(sse, 'a', 2)).map(({ data }) => data)).toEqual([0, 3]);
    // Also of a list that takes several calls.
    const transient = numbers(1_500).map((n) => ({ channel: 'stream', data: n, transient: true }));
    const long = await rejectionOf(sse.publishAll([...transient, { channel: 'stream', data: 'stored' }]));
    expect(new Set(long.outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(sse.stats().published).toBe(2);
    // Only stored events are refused, as with publish().
    expect(await sse.publishAll(transient.slice(0, 2))).toEqual(['', '']);
  });

  it('counts each event, and rejects all of them after the application has closed', async () => {
    const outcomes: string[] = [];
    const metrics = {
      start: () => () => undefined,
      publication: (ms: number, outcome: string) => outcomes.push(`${outcome} ${ms >= 0}`),
    };
    const sse = await startService({ ...store(), metrics });
    await sse.publishAll(numbers(3).map((n) => ({ channel: `${n}`, data: n })));
    expect(sse.stats()).toMatchObject({ published: 3, rejected: 0 });
    await closeModule(sse);
    const failed = await rejectionOf(sse.publishAll([{ data: 1 }, { channel: 'a', data: 2 }]));
    expect(failed).toMatchObject({ code: 'SSE_UNAVAILABLE', status: 503, mayBePublished: false });
    expect(failed.outcomes.map(({ status, error }) => `${status} ${error!.message}`)).toEqual(
      Array(2).fill('rejected Not published: the application is closing'),
    );
    expect(outcomes).toEqual([...Array(3).fill('published true'), ...Array(2).fill('rejected true')]);
  });
});

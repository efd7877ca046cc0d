import { describe, expect, it, jest } from '@jest/globals';
import {
  defineChannel,
  type SseError,
  type SseEvent,
  type SseService,
  type as typed,
} from 'nestjs-sse-channels';
import { numbers } from './support/publishing.js';
import { stores } from './support/streams-app.js';
import { closeModule, manual, orders, schemaOf, startService } from './support/typed-channels.js';
import { until } from './support/until.js';

/** What is stored of a channel. */
async function stored(sse: SseService, channel: string, count: number): Promise<unknown[]> {
  const events: SseEvent[] = [];
  const subscription = sse.messages(channel, { from: 'earliest' }).subscribe((event) => events.push(event));
  await until(() => events.length >= count);
  subscription.unsubscribe();
  return events.map(({ data }) => data);
}

describe.each(stores)('publishAll() to typed channels %s', (_, store) => {
  const start = () => startService(store());

  it('publishes what the schemas make of the data, beside untyped events', async () => {
    const sse = await start();
    const ids = await sse.publishAll([
      { channel: orders({ id: 1 }), type: 'paid', data: { amount: 5, at: new Date(0) }, id: 'own' },
      { channel: orders({ id: 1 }), type: '', data: { text: 'no type' } },
      { channel: 'order:1', type: 'note', data: 'by name' },
      { channel: orders({ id: 2 }), type: 'note', data: 'other', idempotencyKey: 'k' },
    ]);
    expect(ids[0]).toBe('own');
    const data = [{ amount: 5, at: '1970-01-01T00:00:00.000Z' }, { text: 'no type' }, 'by name'];
    expect(await stored(sse, 'order:1', 3)).toEqual(data);
    expect(await stored(sse, 'order:2', 1)).toEqual(['other']);
  });

  it('writes nothing if the data of one event does not fit its schema, and gives its issues', async () => {
    const sse = await start();
    const wrong = {
      channel: orders({ id: 1 }),
      type: 'paid',
      data: { amount: '5' as unknown as number },
    } as const;
    const refused = sse.publishAll([{ channel: 'order:1', data: 0 }, wrong]);
    const error = (await refused.catch((cause: unknown) => cause)) as SseError;
    expect(error).toMatchObject({ code: 'SSE_INPUT', outcomes: [], mayBePublished: false });
    expect(error.message).toMatch(
      /^Expected `events\[1\]\.data` of `paid` in `order:\{id\}` to fit its schema: amount/,
    );
    expect(error.issues).toHaveLength(1);
    await sse.publish('end', { channel: 'order:1' });
    expect(await stored(sse, 'order:1', 1)).toEqual(['end']);
  });

  it('keeps its turn in all of its channels while a schema takes its time', async () => {
    const sse = await start();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema, fast: typed<number>() });
    const calls = [
      sse.publishAll([
        { channel: slow(), type: 'slow', data: 0 },
        { channel: 'other', data: 1 },
        { channel: slow(), type: 'fast', data: 2 },
      ]),
      sse.publish(slow(), 'fast', 3),
      sse.publishAll([{ channel: 'other', data: 4 }]),
      sse.publish(5, { channel: 'other' }),
    ];
    expect(await sse.publishAll([{ channel: 'third', data: 6 }])).toHaveLength(1);
    expect(sse.stats().published).toBe(1);
    pending[0]!(undefined);
    await Promise.all(calls);
    expect(await stored(sse, 'slow', 3)).toEqual([0, 2, 3]);
    expect(await stored(sse, 'other', 3)).toEqual([1, 4, 5]);
  });

  it('publishes nothing of the list, and what waits behind it, if a schema refuses later', async () => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const sse = await start();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema });
    const list = sse.publishAll([
      { channel: 'other', data: 0 },
      { channel: slow(), type: 'slow', data: 1 },
      { channel: slow(), type: 'slow', data: 2 },
    ]);
    const behind = [sse.publish(3, { channel: 'other' }), sse.publish(4, { channel: 'slow' })];
    pending[1]!({ issues: [{ message: 'not 2' }] });
    pending[0]!({ issues: [{ message: 'not 1' }] });
    // The first one of the list, whichever was refused first.
    await expect(list).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringMatching(/^Expected `events\[1\]\.data` .*"not 1"$/),
      issues: [{ message: 'not 1' }],
    });
    await Promise.all(behind);
    expect(await stored(sse, 'other', 1)).toEqual([3]);
    expect(await stored(sse, 'slow', 1)).toEqual([4]);
    // A later event that is refused at once leaves no rejection of an earlier one behind.
    const failing = defineChannel('failing', { failing: schemaOf(() => Promise.reject(new Error('no'))) });
    const refused = sse.publishAll([
      { channel: failing(), type: 'failing', data: 1 },
      { channel: 'a b', data: 1 },
    ]);
    await expect(refused).rejects.toThrow('`events[1].channel`');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(sse.stats()).toMatchObject({ published: 2, rejected: 0 });
  });

  it('publishes a list that waits for a schema when the application closes', async () => {
    const sse = await start();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema });
    const list = sse.publishAll([
      { channel: slow(), type: 'slow', data: 0 },
      { channel: 'other', data: 1 },
    ]);
    const closing = closeModule(sse);
    await new Promise((resolve) => setTimeout(resolve, 500));
    pending[0]!(undefined);
    await closing;
    expect(await list).toEqual([expect.any(String), expect.any(String)]);
  });
});

const MEGABYTE = 'x'.repeat(1_000_000);

describe('Lists that wait for schemas', () => {
  it('are bounded by the characters that are known already', async () => {
    const sse = await startService({ maxPayloadBytes: 1_048_576 });
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema });
    const listOf = (channel: string) => [
      ...numbers(40).map(() => ({ channel, data: MEGABYTE })),
      { channel: slow(), type: 'slow' as const, data: 1 },
    ];
    const first = sse.publishAll(listOf('a'));
    const surplus = sse.publishAll(listOf('b'));
    for (const settle of pending) settle(undefined);
    await expect(surplus).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      outcomes: [...numbers(40).map(() => ({ status: 'rejected' })), { status: 'published' }],
    });
    expect(await first).toHaveLength(41);
  });

  it('are refused where their schemas return too much', async () => {
    const sse = await startService({ maxPayloadBytes: 1_048_576 });
    const grown = defineChannel('grown', {
      grown: schemaOf(() => Promise.resolve({ value: MEGABYTE })),
    });
    const event = { channel: grown(), type: 'grown' as const, data: 1 };
    const list = numbers(70).map(() => event);
    await expect(sse.publishAll([{ channel: 'grown', data: 0 }, ...list])).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringContaining('67108864 characters of `events`'),
    });
    expect(await sse.publishAll([event])).toHaveLength(1);
    expect(await stored(sse, 'grown', 1)).toHaveLength(1);
    expect(sse.stats()).toMatchObject({ published: 1, rejected: 0 });
  });

  it('are not counted, and rejected with the error of a schema whose result cannot be read', async () => {
    const sse = await startService();
    const failure = new Error('not readable');
    const result = {
      get issues() {
        throw failure;
      },
    };
    const broken = defineChannel('broken', { broken: schemaOf(() => Promise.resolve(result)) });
    const event = { channel: broken(), type: 'broken' as const, data: 1 };
    await expect(sse.publishAll([{ channel: 'a', data: 0 }, event])).rejects.toBe(failure);
    await expect(sse.publish(broken(), 'broken', 1)).rejects.toBe(failure);
    expect(sse.stats()).toMatchObject({ published: 0, rejected: 0 });
  });

  it('may be long and follow an event that waits', async () => {
    const sse = await startService();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema });
    const first = sse.publish(slow(), 'slow', 'first');
    const long = sse.publishAll(Array.from({ length: 10_001 }, (_, n) => ({ channel: 'slow', data: n })));
    await expect(sse.publish('surplus', { channel: 'slow' })).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
    });
    pending[0]!(undefined);
    expect([await first, ...(await long)]).toHaveLength(10_002);
  });

  it('are bounded by their events, and a long one is accepted where nothing waits', async () => {
    const sse = await startService();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema });
    const listOf = (length: number) =>
      Array.from({ length }, (_, n) => ({ channel: slow(), type: 'slow' as const, data: n }));
    const long = sse.publishAll(listOf(10_001));
    const surplus = sse.publishAll([{ channel: 'slow', data: 1 }]);
    await expect(surplus).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      outcomes: [{ status: 'rejected' }],
    });
    for (const settle of pending) settle(undefined);
    expect(await long).toHaveLength(10_001);
    expect(await sse.publishAll([{ channel: 'slow', data: 2 }])).toHaveLength(1);
  });
});

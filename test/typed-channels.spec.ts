import { describe, expect, it, jest } from '@jest/globals';
import { type } from 'arktype';
import {
  defineChannel,
  SseError,
  type SseEvent,
  type SseEventOf,
  type SseService,
  type SseTypedChannel,
  type as typed,
} from 'nestjs-sse-channels';
import * as v from 'valibot';
import { z } from 'zod';
import { stores } from './support/streams-app.js';
import { closeModule, manual, orders, startService } from './support/typed-channels.js';
import { until } from './support/until.js';

/** The same event of each library: it takes a number of cents, and makes a price of it. */
const LIBRARIES = {
  zod: z.object({ cents: z.number().int() }).transform(({ cents }) => ({ price: `${cents / 100} €` })),
  valibot: v.pipe(
    v.object({ cents: v.pipe(v.number(), v.integer()) }),
    v.transform(({ cents }) => ({ price: `${cents / 100} €` })),
  ),
  arktype: type({ cents: 'number.integer' }).pipe(({ cents }) => ({ price: `${cents / 100} €` })),
};

describe.each(stores)('Typed channels %s', (_, store) => {
  const start = () => startService(store());

  /** What a subscriber of the channel gets from now on. */
  async function subscribe<E>(sse: SseService, channel: SseTypedChannel) {
    const events: E[] = [];
    const lastEventId = await sse.position(channel);
    sse.messages(channel, { lastEventId }).subscribe((event) => events.push(event as E));
    return events;
  }

  it('deliver what was published by their definition, distinguished by type', async () => {
    const sse = await start();
    const events = await subscribe<SseEventOf<typeof orders>>(sse, orders({ id: 7 }));
    await sse.publish(orders({ id: 7 }), 'paid', { amount: 5, at: new Date(0) });
    await sse.publish(orders({ id: '7' }), 'note', 'plain');
    await sse.publish(orders({ id: 7n }), '', { text: 'without a type' }, { id: 'own' });
    await sse.publish(orders({ id: 8 }), 'note', 'of another channel');
    await until(() => events.length === 3);
    expect(events.map(({ channel }) => channel)).toEqual(['order:7', 'order:7', 'order:7']);
    const seen = events.map((event) => {
      // The compiler knows the data by the type.
      if (event.type === 'paid') return event.data.amount + (event.data.at ?? '');
      if (event.type === 'note') return event.data.toUpperCase();
      if (event.type === undefined) return `${event.data.text} ${event.id}`;
      return event.data.channel;
    });
    expect(seen).toEqual(['51970-01-01T00:00:00.000Z', 'PLAIN', 'without a type own']);
  });

  it.each(Object.entries(LIBRARIES))(
    'publish what a schema of %s makes of the data, and nothing it refuses',
    async (__, price) => {
      const sse = await start();
      const prices = defineChannel('price', { price: price as (typeof LIBRARIES)['zod'] });
      const events = await subscribe<SseEvent>(sse, prices());
      const refused = sse.publish(prices(), 'price', { cents: 1.5 });
      const error = (await refused.catch((cause: unknown) => cause)) as SseError;
      expect(error).toBeInstanceOf(SseError);
      expect(error).toMatchObject({ code: 'SSE_INPUT', status: 400, mayBePublished: false });
      expect(error.message).toMatch(/^Expected `data` of `price` in `price` to fit its schema: cents: "/);
      expect(error.issues).toHaveLength(1);
      expect(
        Array.from(error.issues[0]!.path!, (part) => (typeof part === 'object' ? part.key : part)),
      ).toEqual(['cents']);
      expect(await sse.publish(prices(), 'price', { cents: 150 })).not.toBe('');
      await until(() => events.length === 1);
      expect(events).toEqual([expect.objectContaining({ type: 'price', data: { price: '1.5 €' } })]);
    },
  );

  it('keep the order of the calls while a schema takes its time, in their channel alone', async () => {
    const sse = await start();
    const { schema, pending } = manual();
    const slow = defineChannel('slow:{id}', { slow: schema, fast: typed<number>() });
    const events = await subscribe<SseEvent>(sse, slow({ id: 1 }));
    const others = await subscribe<SseEvent>(sse, slow({ id: 2 }));
    const calls = [
      sse.publish(slow({ id: 1 }), 'slow', 1),
      sse.publish(slow({ id: 1 }), 'fast', 2),
      sse.publish(3, { channel: 'slow:1' }),
      sse.publish(slow({ id: 1 }), 'slow', 4),
      sse.publish(slow({ id: 1 }), 'slow', 5),
      sse.publish(slow({ id: 1 }), 'fast', 6),
    ];
    await sse.publish(slow({ id: 2 }), 'fast', 7);
    await until(() => others.length === 1);
    expect(events).toEqual([]);
    expect(pending).toHaveLength(3);
    // In another order than they were asked for; one is refused.
    pending[2]!({ value: 5 });
    pending[1]!({ issues: [{ message: 'not 4' }] });
    pending[0]!({ value: 1 });
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      true,
      true,
      false,
      true,
      true,
    ]);
    await until(() => events.length === 5);
    expect(events.map(({ data }) => data)).toEqual([1, 2, 3, 5, 6]);
  });

  it('publish the data as it was at the call where the schema takes its time for another event', async () => {
    const sse = await start();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema, fast: typed<{ n: number }>() });
    const events = await subscribe<SseEvent>(sse, slow());
    const data = { n: 1 };
    const calls = [sse.publish(slow(), 'slow', 0), sse.publish(slow(), 'fast', data)];
    data.n = 2;
    pending[0]!(undefined);
    await Promise.all(calls);
    await until(() => events.length === 2);
    expect(events[1]!.data).toEqual({ n: 1 });
  });

  it('resume, and end connections, as any channel', async () => {
    const sse = await start();
    const lastEventId = await sse.position([orders({ id: 7 }), orders({ id: 'a|b' })]);
    await sse.publish(orders({ id: 'a|b' }), 'note', 'missed');
    const received: string[] = [];
    let hasEnded = false;
    const subscribed = sse.messages([orders({ id: 7 }), orders({ id: 'a|b' })], { lastEventId, user: 'ann' });
    subscribed.subscribe({
      next: ({ channel, type: name }) => received.push(`${channel} ${name}`),
      complete: () => (hasEnded = true),
    });
    await until(() => received.includes('order:a~7Cb note'));
    expect(await sse.disconnect({ channel: orders({ id: 'a|b' }) })).toBe(1);
    await until(() => hasEnded);
  });

  it('are iterated over with their types', async () => {
    const sse = await start();
    const events = sse.events(orders({ id: 7 }), { from: 'earliest' });
    const first = events.next();
    await sse.publish(orders({ id: 7 }), 'note', 'hello');
    const { value } = await first;
    expect(value?.type === 'note' && value.data.length).toBe(5);
    await events.return!();
  });

  it('that wait for a schema are published when the application closes, and counted', async () => {
    const sse = await start();
    const { schema, pending } = manual();
    const slow = defineChannel('slow', { slow: schema });
    const calls = [sse.publish(slow(), 'slow', 0), sse.publish(1, { channel: 'slow' })];
    const closing = closeModule(sse);
    // Longer than the rest of a shutdown takes.
    await new Promise((resolve) => setTimeout(resolve, 500));
    pending[0]!(undefined);
    await closing;
    expect(await Promise.all(calls)).toEqual([expect.any(String), expect.any(String)]);
    expect(sse.stats()).toMatchObject({ published: 2, rejected: 0 });
  });
});

describe('A surplus event', () => {
  it('is refused without an unhandled rejection of its schema, and counted', async () => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const sse = await startService();
    const { schema, pending } = manual();
    const many = defineChannel('many', { slow: schema });
    const calls = Array.from({ length: 10_001 }, (__, n) => sse.publish(many(), 'slow', n));
    await expect(calls.at(-1)).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    for (const settle of pending) settle({ issues: [{ message: 'no' }] });
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(sse.stats()).toMatchObject({ published: 0, rejected: 1 });
  });
});

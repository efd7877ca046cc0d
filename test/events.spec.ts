import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { EventsOptions, SseEvent, SseModuleOptions } from 'nestjs-sse-channels';
import { brokerOptions } from './support/broker-options.js';
import { dataOf, range, startIterating, take } from './support/iterating.js';
import { moduleOnRedis } from './support/module-on-redis.js';
import { until } from './support/until.js';

describe.each(brokerOptions)('An iteration over events %s', (_, optionsOf) => {
  const start = (more: SseModuleOptions = {}) => startIterating({ ...optionsOf(), ...more });

  it('gets the events of its channels, and ends its connection with the loop', async () => {
    const { sse, publishAll } = await start();
    const ids = await publishAll(0, 3);
    const seen: unknown[] = [];
    for await (const event of sse.events('a', { from: 'earliest' })) {
      expect(sse.stats().connections).toBe(1);
      seen.push([event.id, event.channel, event.data]);
      if (seen.length === 3) await sse.publish('live', { channel: 'a' });
      if (event.data === 'live') break;
    }
    expect(seen.slice(0, 3)).toEqual(ids.map((id, n) => [id, 'a', n]));
    expect([seen.length, sse.stats().connections]).toEqual([4, 0]);
  });

  it('begins with the call, before the first event is pulled', async () => {
    const { sse, publishAll } = await start();
    const events = sse.events('a');
    expect(sse.stats().connections).toBe(1);
    await until(async () => (await publishAll(0, 1), sse.stats().delivered > 0));
    expect((await take(events, 1)).map(dataOf)).toEqual([0]);
    await events.return!();
  });

  it('resumes after each of its events, in one channel and in several', async () => {
    const { sse, publishAll } = await start();
    await publishAll(0, 4);
    for (const channels of ['a', ['a', 'b']]) {
      const ids = (await take(sse.events(channels, { from: 'earliest' }), 4)).map(({ id }) => id);
      for (const [n, lastEventId] of ids.slice(0, 3).entries()) {
        const events = await take(sse.events(channels, { lastEventId }), 3 - n);
        expect(events.map(dataOf)).toEqual(range(n + 1, 4));
      }
    }
  });

  it('answers calls of next() in their order', async () => {
    const { sse, publishAll } = await start();
    const events = sse.events('a', { from: 'earliest' });
    const pulls = range(0, 5).map(() => events.next());
    await publishAll(0, 5);
    expect((await Promise.all(pulls)).map(({ value }) => value!.data)).toEqual(range(0, 5));
    await events.return!();
  });

  const ends: [string, (rig: Awaited<ReturnType<typeof start>>, stop: AbortController) => unknown][] = [
    ['the signal', (__, stop) => stop.abort()],
    ['disconnect()', ({ sse }) => sse.disconnect({ user: 'ann' })],
    ['the shutdown', ({ module }) => module.close()],
  ];
  it.each(ends)(
    'ends with %s, whether it waits for an event or not, and leaves nothing behind',
    async (__, end) => {
      const rig = await start();
      const stop = new AbortController();
      const reasons: unknown[] = [];
      rig.sse.onDisconnect(({ reason }) => reasons.push(reason));
      const options: EventsOptions = { user: 'ann', signal: stop.signal, from: 'earliest' };
      await rig.publishAll(0, 1);
      const [waiting, unread] = [rig.sse.events('a', options), rig.sse.events('a', options)];
      await take(waiting, 1);
      const pull = waiting.next();
      await until(() => rig.sse.connections().length === 2);
      await end(rig, stop);
      expect(await pull).toEqual({ done: true, value: undefined });
      expect(await waiting.next()).toEqual({ done: true, value: undefined });
      await until(() => rig.sse.stats().connections === 0);
      expect(await unread.next()).toEqual({ done: true, value: undefined });
      expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
      expect(reasons).toHaveLength(2);
    },
  );

  it.each([
    ['return()', (events: AsyncIterableIterator<SseEvent>) => events.return!()],
    [
      'throw()',
      (events: AsyncIterableIterator<SseEvent>) => events.throw!(new Error('own')).catch(() => undefined),
    ],
    [
      'await using',
      async (events: AsyncIterableIterator<SseEvent>) => {
        await using used = events as AsyncIterableIterator<SseEvent> & AsyncDisposable;
        expect(used).toBe(events);
      },
    ],
  ])('ends with %s, also before the first event, and leaves nothing behind', async (__, end) => {
    const { sse } = await start();
    const { signal } = new AbortController();
    const events = sse.events('a', { signal });
    const pull = events.next();
    await end(events as AsyncIterableIterator<SseEvent>);
    expect(await pull).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect([sse.stats().connections, getEventListeners(signal, 'abort')]).toEqual([0, []]);
  });

  it('ends when its credential expires', async () => {
    const { sse } = await start();
    const events = sse.events('a', { expiresAt: new Date(Date.now() + 200) });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(sse.stats().connections).toBe(0);
  });

  it('does not begin if its signal is aborted already', async () => {
    const { sse } = await start();
    const events = sse.events('a', { signal: AbortSignal.abort() });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(sse.stats()).toMatchObject({ connections: 0, refused: 0 });
  });

  it('rejects once if its connection is refused', async () => {
    const { sse } = await start({ limits: { connections: 1 } });
    const first = sse.events('a');
    const refused = sse.events('a');
    await expect(refused.next()).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    expect(await refused.next()).toEqual({ done: true, value: undefined });
    expect(sse.stats()).toMatchObject({ connections: 1, refused: 1 });
    await first.return!();
  });

  it('gets no more events after its end', async () => {
    const { sse, publishAll } = await start();
    const others = [sse.events('a', { from: 'earliest' }), sse.events(['a', 'b'], { from: 'earliest' })];
    const events = sse.events('a', { from: 'earliest' });
    await publishAll(0, 1);
    for (const each of [events, ...others]) await take(each, 1);
    for (const each of others) await each.return!();
    const { delivered } = sse.stats();
    await publishAll(1, 2);
    await take(events, 1);
    expect(sse.stats().delivered).toBe(delivered + 1);
    await events.return!();
  });

  it('is charged for a start with stored events as for a resume', async () => {
    const { sse } = await start({ limits: { resumesPerSecond: 2 } });
    const all = range(0, 30).map((n) => sse.events(`c${n}`, { from: 'earliest' }));
    expect(sse.stats().refused).toBeGreaterThan(10);
    await Promise.all(all.map((events) => events.return!()));
  });

  it.each([
    ['an undefined channel', [undefined]],
    ['an unknown option', ['a', { form: 'earliest' }]],
    ['a wrong start', ['a', { from: 'oldest' }]],
    ['a wrong signal', ['a', { signal: 'stop' }]],
    ['a signal that never aborts', ['a', { signal: new EventTarget() }]],
    ['a wrong user', ['a', { user: '' }]],
  ])('is refused for %s, in the call', async (__, args) => {
    const { sse } = await start();
    expect(() => sse.events(...(args as ['a']))).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
    expect(sse.stats().connections).toBe(0);
  });
});

describe('An iteration over events through an outage of Redis', () => {
  const { start, behindProxy } = moduleOnRedis();

  it('goes on with what was missed, in order and once', async () => {
    const [publisher, { proxy, sse }] = [await start(), await behindProxy()];
    const events = sse.events('a');
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const event of events) {
        seen.push(dataOf(event));
        if (event.data === 'end') break;
      }
    })();
    await until(() => sse.stats().connected);
    await until(async () => (await publisher.publish('warm', { channel: 'a' }), seen.includes('warm')));
    for (let round = 0; round < 5; round++) {
      proxy.cut();
      for (let n = 0; n < 20; n++) await publisher.publish(20 * round + n, { channel: 'a' });
      await until(() => seen.at(-1) === 20 * round + 19);
    }
    await publisher.publish('end', { channel: 'a' });
    await reading;
    expect(seen.filter((data) => data !== 'warm')).toEqual([...range(0, 100), 'end']);
  });
});

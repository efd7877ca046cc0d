import { describe, expect, it } from '@jest/globals';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { brokerOptions } from './support/broker-options.js';
import { dataOf, range, startIterating, take } from './support/iterating.js';
import { until } from './support/until.js';

describe.each(brokerOptions)('An iteration whose consumer is slow %s', (_, optionsOf) => {
  const start = (more: SseModuleOptions = {}) => startIterating({ ...optionsOf(), ...more });

  it('catches up from the history if its consumer is slow, without a loss', async () => {
    const { sse, publishAll } = await start({ history: { maxEvents: 10_000 } });
    const events = sse.events('a', { from: 'earliest' });
    await publishAll(0, 1);
    await take(events, 1);
    await publishAll(1, 3_000);
    await until(() => sse.stats().behind > 0);
    expect((await take(events, 2_999)).map(dataOf)).toEqual(range(1, 3_000));
    await publishAll(3_000, 3_001);
    expect((await take(events, 1)).map(dataOf)).toEqual([3_000]);
    await events.return!();
  });

  it('begins with events in memory and catches up with later ones, each once', async () => {
    const { sse, publishAll } = await start({ history: { maxEvents: 10_000 } });
    const live = sse.events('a', { from: 'earliest' });
    await publishAll(0, 200);
    await take(live, 200);
    const events = sse.events('a', { from: { last: 150 } });
    await publishAll(200, 700);
    await until(() => sse.stats().behind > 0);
    expect((await take(events, 650)).map(dataOf)).toEqual(range(50, 700));
    for (const each of [live, events]) await each.return!();
  });

  it('does not keep transient events without a bound for a slow consumer', async () => {
    const { sse, publishAll } = await start();
    const events = sse.events('a', { from: 'earliest' });
    await publishAll(0, 1);
    await take(events, 1);
    const other = sse.events('a', { from: 'earliest' });
    await publishAll(0, 3_000, true);
    await publishAll(3_000, 3_001);
    // All of them have arrived.
    while ((await take(other, 1))[0]!.data !== 3_000);
    await other.return!();
    const seen: unknown[] = [];
    for await (const event of events) {
      seen.push(event.data);
      if (event.data === 3_000) break;
    }
    expect(seen.length).toBeLessThan(1_100);
  });

  it('gets one sse.reset in place of what a slow consumer loses without history', async () => {
    const { sse, publishAll } = await start({ history: false });
    const events = sse.events('a');
    await until(async () => {
      await publishAll(-1, 0);
      return sse.stats().delivered > 0;
    });
    await publishAll(0, 3_000);
    await until(() => sse.stats().delivered >= 3_000);
    const seen = await take(events, 1_024);
    expect(seen.map(dataOf).every((data) => typeof data === 'number')).toBe(true);
    const reset = (await take(events, 1))[0]!;
    expect(dataOf(reset)).toEqual(['sse.reset', { channel: 'a', reason: 'lost' }]);
    await publishAll(3_000, 3_001);
    expect((await take(events, 1)).map(dataOf)).toEqual([3_000]);
    await events.return!();
  });

  it('gets events again after the reset of their channel, whatever is unread of other channels', async () => {
    const { sse, publishAll } = await start({ history: false });
    const events = sse.events(['a', 'b']);
    await until(async () => {
      await publishAll(-1, 0);
      await sse.publish(-1, { channel: 'b' });
      return sse.stats().delivered > 1;
    });
    await publishAll(0, 2_000);
    await until(() => sse.stats().delivered >= 2_000);
    let [last] = await take(events, 1);
    // `b` is accepted as soon as there is room again, behind the reset of `a`.
    await sse.publish('b', { channel: 'b' });
    while (last?.type !== 'sse.reset' || (last.data as { channel: string }).channel !== 'a')
      [last] = await take(events, 1);
    await publishAll(2_000, 2_001);
    await until(async () => (await take(events, 1))[0]!.data === 2_000);
    await events.return!();
  });
});

import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { CONTROL_CHANNEL, type SseBroker } from '../src/broker/broker.js';
import { MemorySseBroker } from '../src/broker/memory/memory.broker.js';
import { checkPublication } from '../src/event/event.js';
import { history } from './support/any-broker.js';

describe('A channel in memory', () => {
  afterEach(() => void jest.useRealTimers());
  const publish = (broker: SseBroker, channel: string) =>
    broker.publish(channel, checkPublication(1, {}, 100));
  const kept = async (broker: SseBroker, channel: string) =>
    (await broker.read(channel, ['0000000000-0'], 100)).events.length;

  it('expires by age, even after the system clock went back', async () => {
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

  it('expires in less time than it was stored in, even if hundreds of thousands of events expire at once', async () => {
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

  it('is stored for an hour if it is the control channel, independent of `maxAgeMs`', async () => {
    jest.useFakeTimers();
    const broker = new MemorySseBroker(history({ maxAgeMs: 1_000 }));
    for (const channel of [CONTROL_CHANNEL, 'a']) await publish(broker, channel);
    jest.advanceTimersByTime(60_000);
    expect([await kept(broker, CONTROL_CHANNEL), await kept(broker, 'a')]).toEqual([1, 0]);
    jest.advanceTimersByTime(3_600_000);
    expect(await kept(broker, CONTROL_CHANNEL)).toBe(0);
  });
});

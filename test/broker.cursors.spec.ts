import { describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import { MemorySseBroker } from '../src/broker/memory/memory.broker.js';
import { checkPublication, compareCursors } from '../src/event/event.js';
import { redisChannel } from './support/redis-channel.js';

describe('Cursors', () => {
  it('increase in memory, even if the clock steps', async () => {
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

  it('increase in Redis, even after its clock was an hour ahead, and reads continue', async () => {
    const { broker, admin, key, publish } = redisChannel();
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

  it('are not assigned twice by a replica whose clock is behind and which lacks the last events', async () => {
    const { admin, key, publish } = redisChannel();
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

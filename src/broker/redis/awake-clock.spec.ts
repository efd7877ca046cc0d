import { performance } from 'node:perf_hooks';
import { afterEach, expect, it, jest } from '@jest/globals';
import { AwakeClock, TICK_MS } from './awake-clock.js';

afterEach(() => void jest.restoreAllMocks());

it('An awake clock goes with the time, but not while the process is blocked or suspended', () => {
  let time = 1_000;
  jest.spyOn(performance, 'now').mockImplementation(() => time);
  const clock = new AwakeClock();
  const after = (ms: number) => {
    time += ms;
    return clock.tick();
  };
  expect([after(TICK_MS), after(1.4 * TICK_MS), after(60_000)]).toEqual([
    TICK_MS,
    2.4 * TICK_MS,
    4.4 * TICK_MS,
  ]);
  time += 100;
  expect(clock.now).toBe(4.4 * TICK_MS + 100);
});

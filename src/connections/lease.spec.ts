import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Lease } from './lease.js';

const DAY_MS = 86_400_000;

describe('A lease', () => {
  let ended: number;
  let asked: number;
  let leases: Lease[];

  beforeEach(() => {
    jest.useFakeTimers();
    ended = asked = 0;
    leases = [];
  });
  afterEach(() => {
    for (const lease of leases) lease.stop();
    jest.useRealTimers();
  });

  const lease = (expiresInMs: number | undefined, renew?: () => Promise<object>) => {
    const made = new Lease(
      { expiresAt: expiresInMs === undefined ? undefined : new Date(Date.now() + expiresInMs) },
      {
        revalidateMs: 10_000,
        onEnd: () => ended++,
        renew: renew && (() => (asked++, renew())),
      },
    );
    leases.push(made);
    return made;
  };

  it.each([1_000, DAY_MS, 60 * DAY_MS])('ends within the last tenth, or 30 s, of %i ms', async (ms) => {
    for (let n = 0; n < 50; n++) lease(ms);
    await jest.advanceTimersByTimeAsync(ms - Math.min(30_000, ms / 10) - 1);
    expect(ended).toBe(0);
    await jest.advanceTimersByTimeAsync(Math.min(30_000, ms / 10) / 2);
    expect(ended).toBeGreaterThan(5);
    expect(ended).toBeLessThan(45);
    await jest.advanceTimersByTimeAsync(Math.min(30_000, ms / 10) / 2 + 1);
    expect(ended).toBe(50);
  });

  it('that has expired ends at once', async () => {
    lease(-5);
    await jest.advanceTimersByTimeAsync(1);
    expect(ended).toBe(1);
  });

  it('is renewed repeatedly, after at least half of its time, and then lasts for the new time', async () => {
    lease(undefined, () => Promise.resolve({ expiresAt: new Date(Date.now() + 60_000) }));
    await jest.advanceTimersByTimeAsync(4_999);
    expect(asked).toBe(0);
    await jest.advanceTimersByTimeAsync(95_001);
    expect(asked).toBeGreaterThanOrEqual(9);
    expect(asked).toBeLessThanOrEqual(20);
    expect(ended).toBe(0);
  });

  it('ends if it is not renewed', async () => {
    lease(undefined, () => Promise.reject(new Error('no')));
    await jest.advanceTimersByTimeAsync(10_000);
    expect([asked, ended]).toEqual([1, 1]);
  });

  it('ends with its credential while a renewal is pending', async () => {
    lease(12_000, () => new Promise(() => undefined));
    await jest.advanceTimersByTimeAsync(12_000);
    expect([asked, ended]).toEqual([1, 1]);
  });

  it('that is stopped does nothing more, even during a renewal', async () => {
    let answer: (access: object) => void = () => {};
    const stopped = [lease(1_000), lease(undefined, () => new Promise((resolve) => (answer = resolve)))];
    await jest.advanceTimersByTimeAsync(500);
    for (const made of stopped) made.stop();
    await jest.advanceTimersByTimeAsync(20_000);
    answer({ expiresAt: new Date(Date.now() + 10) });
    await jest.advanceTimersByTimeAsync(100_000);
    expect([asked, ended]).toEqual([0, 0]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('stays stopped if it is stopped during a renewal', async () => {
    let answer: (access: object) => void = () => {};
    const made = lease(undefined, () => new Promise((resolve) => (answer = resolve)));
    await jest.advanceTimersByTimeAsync(10_000);
    made.stop();
    answer({ expiresAt: new Date(Date.now() + 10) });
    await jest.advanceTimersByTimeAsync(100_000);
    expect([asked, ended, jest.getTimerCount()]).toEqual([1, 0, 0]);
  });
});

import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createRetries, refusal } from './retries.js';

const SECOND_MS = 1_000;
/** So many that the ends of a range are met. */
const CLIENTS = 400;
const failure = (status?: number, retryAfterMs?: number) =>
  Object.assign(new Error('failed'), { status, retryAfterMs });

/** The least and the largest delay, in seconds, of many clients that have failed so many times. */
function range(
  failures: number,
  error = failure(),
  prepare: (retries: ReturnType<typeof createRetries>) => unknown = () => undefined,
) {
  const delays = Array.from({ length: CLIENTS }, () => {
    const retries = createRetries(SECOND_MS);
    for (let n = 1; n < failures; n++) retries.jitter();
    prepare(retries);
    return retries.delayAfter(error, false)! / SECOND_MS;
  });
  return [Math.min(...delays), Math.max(...delays)];
}
/** Within 5 % of the length of the range. */
function expectRange([least, largest]: number[], from: number, to: number): void {
  const tolerance = (to - from) * 0.05;
  expect(least).toBeGreaterThanOrEqual(from);
  expect(least).toBeLessThan(from + tolerance);
  expect(largest).toBeLessThanOrEqual(to);
  expect(largest).toBeGreaterThan(to - tolerance);
}

describe('The delay before the next attempt', () => {
  afterEach(() => void jest.useRealTimers());

  it.each([
    [1, 1],
    [2, 2],
    [3, 4],
    [5, 16],
    [6, 30],
    [100, 30],
    [1_100, 30],
  ])('is random after failure %i: from 1 s, in a range of %i s', (failures, length) => {
    expectRange(range(failures), 1, 1 + length);
  });

  it('begins at the reconnection time of the server, or at Retry-After if that is longer', () => {
    const retryMs = (ms: number) => (retries: ReturnType<typeof createRetries>) => (retries.retryMs = ms);
    expectRange(range(1, failure(), retryMs(3_000)), 3, 4);
    expectRange(range(1, failure(), retryMs(0)), 0, 1);
    expectRange(range(1, failure(429, 2_000), retryMs(3_000)), 3, 4);
    expectRange(range(2, failure(503, 60_000), retryMs(3_000)), 60, 62);
  });

  it('is the longest one after a response of another content type', () => {
    expectRange(range(1, failure(200)), 30, 31);
  });

  it('is never longer than a timer can be', () => {
    expect(range(1, failure(503, 1e15))).toEqual([2_147_483.647, 2_147_483.647]);
  });

  it('is a short one again after an event, or a connection that has lasted', () => {
    expectRange(
      range(9, failure(), (retries) => retries.worked()),
      1,
      2,
    );
    jest.useFakeTimers({ now: 0 });
    const open = (ms: number) => (retries: ReturnType<typeof createRetries>) => {
      jest.setSystemTime(0);
      retries.opened();
      jest.setSystemTime(ms);
    };
    expectRange(range(9, failure(), open(2_001)), 1, 2);
    expectRange(range(9, failure(), open(1_999)), 1, 31);
  });

  it('grows from one reset to the next, without the reconnection time', () => {
    const jitters = Array.from({ length: CLIENTS }, () => {
      const retries = createRetries(SECOND_MS);
      return [retries.jitter(), retries.jitter(), retries.jitter()];
    });
    for (const [n, to] of [1, 2, 4].entries()) {
      const all = jitters.map((each) => each[n]! / SECOND_MS);
      expectRange([Math.min(...all), Math.max(...all)], 0, to);
    }
  });
});

describe('The decisions after a failure', () => {
  const isAgain = (error: ReturnType<typeof failure>, canRenew = true) =>
    createRetries(1).delayAfter(error, canRenew) !== undefined;

  it('are another attempt after a network error, 5xx, 408 and 429, and none after other answers', () => {
    for (const status of [undefined, 408, 429, 500, 502, 503, 504, 599])
      expect(isAgain(failure(status))).toBe(true);
    for (const status of [0, 201, 206, 304, 400, 404, 405, 410, 451])
      expect(isAgain(failure(status))).toBe(false);
  });

  it.each([401, 403])('are one attempt with new credentials after %i, if there are any', (status) => {
    expect(isAgain(failure(status), false)).toBe(false);
    const retries = createRetries(1);
    expect(retries.delayAfter(failure(status), true)).toBe(0);
    expect(retries.delayAfter(failure(502), true)).toBeGreaterThan(0);
    expect(retries.delayAfter(failure(status), true)).toBeUndefined();
    retries.opened();
    expect(retries.delayAfter(failure(status), true)).toBe(0);
  });

  it('are none after the fifth response of another content type in a row', () => {
    const retries = createRetries(1);
    const four = () => Array.from({ length: 4 }, () => retries.delayAfter(failure(200), true));
    for (const between of [() => retries.opened(), () => retries.delayAfter(failure(), true)]) {
      expect(four()).not.toContain(undefined);
      between();
    }
    expect(four()).not.toContain(undefined);
    expect(retries.delayAfter(failure(200), true)).toBeUndefined();
  });
});

describe('A refusal', () => {
  it.each<[retryAfter: string | undefined, ms: number]>([
    [undefined, 0],
    ['', 0],
    ['0', 0],
    ['120', 120_000],
    ['1.5', 1_500],
    ['-5', 0],
    ['soon', 0],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
  ])('reads Retry-After: %s', (value, ms) => {
    const headers = new Headers(value === undefined ? {} : { 'retry-after': value });
    expect(refusal(new Response('', { status: 503, headers }))).toMatchObject({
      status: 503,
      retryAfterMs: ms,
    });
  });

  it('reads Retry-After as a date', () => {
    const headers = { 'retry-after': new Date(Date.now() + 60_000).toUTCString() };
    const { retryAfterMs } = refusal(new Response('', { status: 503, headers }));
    expect(Math.abs(retryAfterMs! - 60_000)).toBeLessThan(10_000);
  });
});

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { of, Subject, throwError } from 'rxjs';
import { heartbeat } from './heartbeat.js';

describe('heartbeat', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  const record = () => {
    const calls: unknown[] = [];
    return {
      calls,
      observer: {
        next: (value: unknown) => calls.push(value),
        error: (error: unknown) => calls.push(['error', error]),
        complete: () => calls.push('complete'),
      },
    };
  };

  it('adds comments to what passes, from one timer for all streams', () => {
    const source = new Subject<number>();
    const [one, two] = [record(), record()];
    source.pipe(heartbeat(1_000)).subscribe(one.observer);
    source.pipe(heartbeat(1_000)).subscribe(two.observer);
    expect(jest.getTimerCount()).toBe(1);
    source.next(1);
    jest.advanceTimersByTime(2_000);
    source.next(2);
    expect(one.calls).toEqual([1, { comment: '' }, { comment: '' }, 2]);
    expect(two.calls).toEqual(one.calls);
  });

  it('ends with its source, and leaves no timer', () => {
    const { calls, observer } = record();
    of(1).pipe(heartbeat()).subscribe(observer);
    throwError(() => 'no')
      .pipe(heartbeat())
      .subscribe(observer);
    new Subject().pipe(heartbeat()).subscribe(observer).unsubscribe();
    expect(calls).toEqual([1, 'complete', ['error', 'no']]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([0, 999, 1.5, NaN, 3_600_001])('refuses %p', (ms) => {
    expect(() => heartbeat(ms)).toThrow('Expected `ms` to be a whole number of milliseconds');
  });
});

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { from, of, Subject, throwError } from 'rxjs';
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

  it('adds comments between events, from one timer for all connections', () => {
    const source = new Subject<{ data: string }>();
    const [one, two] = [record(), record()];
    source.pipe(heartbeat(1_000)).subscribe(one.observer);
    source.pipe(heartbeat(1_000)).subscribe(two.observer);
    expect(jest.getTimerCount()).toBe(1);
    source.next({ data: '1' });
    jest.advanceTimersByTime(2_000);
    source.next({ data: '2' });
    expect(one.calls).toEqual([{ data: '1' }, { comment: '' }, { comment: '' }, { data: '2' }]);
    expect(two.calls).toEqual(one.calls);
  });

  it('gives Nest data that it writes in the same way as @SseChannel', () => {
    const { calls, observer } = record();
    const event = (data: unknown) => ({ id: '1', channel: 'a', data });
    from([null, 0, 5, false, '', 'null', { a: 1 }].map(event))
      .pipe(heartbeat())
      .subscribe(observer);
    of('text', 5, null).pipe(heartbeat()).subscribe(observer);
    const texts = ['null', '0', '5', 'false', '', 'null', { a: 1 }];
    expect(calls).toEqual([
      ...texts.map(event),
      'complete',
      ...['text', '5', 'null'].map((data) => ({ data })),
      'complete',
    ]);
  });

  it('ends with its source, and leaves no timer', () => {
    const { calls, observer } = record();
    of('1').pipe(heartbeat()).subscribe(observer);
    throwError(() => 'no')
      .pipe(heartbeat())
      .subscribe(observer);
    new Subject().pipe(heartbeat()).subscribe(observer).unsubscribe();
    expect(calls).toEqual([{ data: '1' }, 'complete', ['error', 'no']]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([0, 999, 1.5, NaN, 3_600_001])('refuses %p', (ms) => {
    expect(() => heartbeat(ms)).toThrow('Expected `ms` to be a whole number of milliseconds');
  });
});

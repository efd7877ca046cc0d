import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ExpiringMap } from './expiring-map.js';

describe('An expiring map', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('returns a value until it expires, also before it is freed', () => {
    const map = new ExpiringMap<number>(1_000);
    map.set('a', 1);
    jest.advanceTimersByTime(600);
    map.set('b', 2);
    expect([map.get('a'), map.get('b')]).toEqual([1, 2]);
    jest.advanceTimersByTime(600);
    expect([map.get('a'), map.get('b')]).toEqual([undefined, 2]);
    map.expire();
    map.set('a', 3);
    expect([map.get('a'), map.get('b')]).toEqual([3, 2]);
  });
});

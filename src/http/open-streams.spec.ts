import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { dueAt, type OpenStream, OpenStreams } from './open-streams.js';

describe('Open streams', () => {
  let streams: OpenStreams<OpenStream>;
  let count = 0;
  const cut: OpenStream[] = [];
  const ended: OpenStream[] = [];

  beforeEach(() => {
    jest.useFakeTimers();
    streams = new OpenStreams(16_000);
    cut.length = ended.length = 0;
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function open(): { progress: number; pending: number; dueAt: number } & OpenStream & {
      heartbeats: number;
    } {
    const stream = {
      number: count++,
      progress: 0,
      pending: 0,
      heartbeats: 0,
      heartbeat: () => stream.heartbeats++,
      cut: () => cut.push(stream),
      dueAt: Infinity,
      end: () => ended.push(stream),
    };
    streams.add(stream);
    return stream;
  }

  it('get a heartbeat each in every period, a part of them at a time', async () => {
    const all = Array.from({ length: 160 }, open);
    const sum = () => all.reduce((total, { heartbeats }) => total + heartbeats, 0);
    for (let part = 1; part <= 16; part++) {
      await jest.advanceTimersByTimeAsync(1_000);
      expect(sum()).toBe(part * 10);
    }
    await jest.advanceTimersByTimeAsync(16_000);
    expect(all.every(({ heartbeats }) => heartbeats === 2)).toBe(true);
  });

  it('are closed when the client has left bytes unread for 30 s and has read nothing', async () => {
    const [stalled, slow, idle] = [open(), open(), open()];
    stalled.pending = slow.pending = 90_000;
    for (let second = 0; second < 120; second++) {
      // Always behind, and yet it reads.
      if (second % 20 === 0) slow.progress++;
      await jest.advanceTimersByTimeAsync(1_000);
      if (second === 28) expect(cut).toEqual([]);
    }
    expect(new Set(cut)).toEqual(new Set([stalled]));
    expect(idle.heartbeats).toBeGreaterThan(0);
  });

  it('end when they are due, which is not the same for all', async () => {
    const all = Array.from({ length: 200 }, () => dueAt(10_000) - performance.now());
    expect(Math.min(...all)).toBeGreaterThanOrEqual(8_000);
    expect(Math.min(...all)).toBeLessThan(8_500);
    expect(Math.max(...all)).toBeGreaterThan(11_500);
    expect(Math.max(...all)).toBeLessThanOrEqual(12_000);
    expect(dueAt(false)).toBe(Infinity);
    const [due, not] = [open(), open()];
    due.dueAt = performance.now() + 5_000;
    await jest.advanceTimersByTimeAsync(4_500);
    expect(ended).toEqual([]);
    await jest.advanceTimersByTimeAsync(2_500);
    expect(ended).toEqual([due]);
    expect(not.dueAt).toBe(Infinity);
  });

  it('leave no timer behind', () => {
    const all = Array.from({ length: 3 }, open);
    expect(jest.getTimerCount()).toBeGreaterThan(0);
    for (const stream of all) streams.delete(stream);
    expect(jest.getTimerCount()).toBe(0);
  });
});

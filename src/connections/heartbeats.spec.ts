import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { OpenConnection } from './connection.js';
import { dueAt, Heartbeats } from './heartbeats.js';

describe('Open connections', () => {
  const connections = new Set<OpenConnection>();
  const slow: object[] = [];
  const ended: object[] = [];
  let heartbeats: Heartbeats;

  beforeEach(() => {
    jest.useFakeTimers();
    for (const list of [slow, ended]) list.length = 0;
    heartbeats = new Heartbeats(connections, 16_000, (connection, reason) =>
      ended.push([connection, reason]),
    );
    heartbeats.start();
  });
  afterEach(() => {
    heartbeats.stop();
    connections.clear();
    jest.useRealTimers();
  });

  /** The part of a connection that depends on the clock. */
  function open(due = Infinity) {
    const response = {
      pending: 0,
      progress: 0,
      heartbeats: 0,
      heartbeat: () => response.heartbeats++,
      disconnectSlow: () => slow.push(response),
    };
    const connection = { number: connections.size, dueAt: due, response };
    connections.add(connection as unknown as OpenConnection);
    return connection;
  }

  it('each get a heartbeat in every period, a part of them at a time', async () => {
    const all = Array.from({ length: 160 }, () => open());
    const sum = () => all.reduce((total, { response }) => total + response.heartbeats, 0);
    for (let part = 1; part <= 16; part++) {
      await jest.advanceTimersByTimeAsync(1_000);
      expect(sum()).toBe(part * 10);
    }
    await jest.advanceTimersByTimeAsync(16_000);
    expect(all.every(({ response }) => response.heartbeats === 2)).toBe(true);
  });

  it('are closed when the client has left bytes unread for 30 s and has read nothing', async () => {
    const [stalled, reading, idle] = [open(), open(), open()];
    stalled.response.pending = reading.response.pending = 90_000;
    for (let second = 0; second < 120; second++) {
      // Always behind, but it reads.
      if (second % 20 === 0) reading.response.progress++;
      await jest.advanceTimersByTimeAsync(1_000);
      if (second === 28) expect(slow).toEqual([]);
    }
    expect(new Set(slow)).toEqual(new Set([stalled.response]));
    expect(idle.response.heartbeats).toBeGreaterThan(0);
  });

  it('end at their age, which differs between connections', async () => {
    const all = Array.from({ length: 200 }, () => dueAt(10_000) - performance.now());
    expect(Math.min(...all)).toBeGreaterThanOrEqual(8_000);
    expect(Math.min(...all)).toBeLessThan(8_500);
    expect(Math.max(...all)).toBeGreaterThan(11_500);
    expect(Math.max(...all)).toBeLessThanOrEqual(12_000);
    expect(dueAt(false)).toBe(Infinity);
    open();
    const due = open(performance.now() + 5_000);
    await jest.advanceTimersByTimeAsync(4_500);
    expect(ended).toEqual([]);
    await jest.advanceTimersByTimeAsync(2_500);
    expect(ended).toEqual([[due, 'age']]);
  });

  it('need no timer after the last one closed', () => {
    expect(jest.getTimerCount()).toBeGreaterThan(0);
    heartbeats.stop();
    expect(jest.getTimerCount()).toBe(0);
  });
});

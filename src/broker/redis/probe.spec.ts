import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RedisProbe } from './probe.js';

/** When a probe is sent, and how its result is evaluated. `test/subscriber.spec.ts` tests it with a real deaf connection. */
describe('A probe', () => {
  let sent: string[];
  let isAccepted: boolean;
  let changes: boolean[];
  let stills: boolean[];
  let probe: RedisProbe;

  beforeEach(() => {
    jest.useFakeTimers();
    [sent, isAccepted, changes, stills] = [[], true, [], []];
    const publish = async (text: string) => {
      sent.push(text);
      if (!isAccepted) throw new Error('Redis is unreachable');
    };
    probe = new RedisProbe(publish, (isDeaf, isStill) => {
      changes.push(isDeaf);
      stills.push(isStill);
    });
    probe.onSubscribed();
  });
  afterEach(() => void jest.useRealTimers());

  const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
  const arrive = () => probe.onMessage(sent.at(-1)!);

  it('is sent as soon as its channel is subscribed, and 10 s after the previous one arrived', async () => {
    expect(sent).toEqual(['1']);
    arrive();
    await pass(9_900);
    expect(sent).toHaveLength(1);
    await pass(200);
    expect(sent).toEqual(['1', '2']);
    expect(changes).toEqual([]);
  });

  it('reports after 10 s that an accepted probe has not arrived, and later that probes arrive again', async () => {
    await pass(9_900);
    expect(probe.isDeaf).toBe(false);
    await pass(200);
    expect([probe.isDeaf, changes]).toEqual([true, [true]]);
    probe.onInterrupted();
    probe.onSubscribed();
    expect([probe.isDeaf, changes]).toEqual([true, [true]]);
    arrive();
    expect([probe.isDeaf, changes]).toEqual([false, [true, false]]);
  });

  it('proves nothing if Redis did not accept it', async () => {
    arrive();
    isAccepted = false;
    await pass(60_000);
    expect([sent.length, changes]).toEqual([6, []]);
  });

  it('does not extend its time when Redis does not accept the next one', async () => {
    await pass(10_100);
    isAccepted = false;
    probe.onInterrupted();
    probe.onSubscribed();
    await pass(100);
    isAccepted = true;
    // Not after 20 s, as after an accepted probe.
    await pass(10_000);
    arrive();
    expect(changes).toEqual([true, false]);
  });

  it('proves nothing if an earlier probe arrives instead', async () => {
    const [first] = sent;
    arrive();
    await pass(10_100);
    probe.onMessage(first!);
    await pass(10_100);
    expect(changes).toEqual([true]);
  });

  it('waits while no channel is subscribed', async () => {
    probe.onInterrupted();
    expect(jest.getTimerCount()).toBe(0);
    await pass(60_000);
    expect([sent.length, changes]).toEqual([1, []]);
    probe.onSubscribed();
    expect(sent).toHaveLength(2);
  });

  it('is not evaluated if it is interrupted in the same turn', async () => {
    // Before the timer that is due after it.
    setTimeout(() => probe.onInterrupted(), 10_000);
    await pass(60_000);
    expect([sent, changes]).toEqual([['1'], []]);
  });

  it('reports when a new connection did not help', async () => {
    await pass(10_100);
    probe.onInterrupted();
    probe.onSubscribed();
    await pass(20_100);
    expect(stills).toEqual([false, true]);
  });

  it('does not report a busy process as deaf, and reads the messages that arrived meanwhile', async () => {
    jest.useRealTimers();
    probe.onInterrupted();
    probe = new RedisProbe(
      async () => undefined,
      (isDeaf) => changes.push(isDeaf),
      20,
    );
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    const arrived = once(client, 'data').then(() => probe.onMessage('1'));
    await new Promise<void>((resolve) => {
      // Then timers fire before sockets are read.
      setImmediate(() => {
        probe.onSubscribed();
        socket.write('1');
        for (const end = Date.now() + 60; Date.now() < end;);
        resolve();
      });
    });
    await arrived;
    await turn();
    expect(changes).toEqual([]);
    probe.onInterrupted();
    client.destroy();
    server.close();
  });

  it('gives each new connection more time, up to ten times as much', async () => {
    const restarts: number[] = [];
    for (let second = 0; second < 400; second++) {
      const { length } = changes;
      await pass(1_000);
      if (changes.length === length) continue;
      restarts.push(second + 1);
      probe.onInterrupted();
      probe.onSubscribed();
    }
    const waits = restarts.map((at, n) => at - (restarts[n - 1] ?? 0));
    for (const [n, wait] of [10, 20, 40, 80, 100, 100].entries()) {
      expect(waits[n]).toBeGreaterThanOrEqual(wait);
      expect(waits[n]).toBeLessThanOrEqual(wait + 1);
    }
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { RedisConnection } from '../src/broker/redis/connection.js';
import { Proxy } from './support/proxy.js';
import { type RedisServer, startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

/** How a connection behaves if Redis is unreachable or has become a replica. */
describe('A connection to Redis', () => {
  let server: RedisServer;
  let proxy: Proxy;
  let connection: RedisConnection;

  beforeEach(async () => {
    server = await startRedis();
    proxy = await Proxy.start(server.port);
    connection = new RedisConnection(proxy.url, 'test', 3_000);
    await until(() => connection.ready);
  });
  afterEach(async () => {
    await connection.close();
    proxy.close();
  });

  const breakOff = async () => {
    proxy.refuse = true;
    proxy.cut();
    await until(() => !connection.ready);
  };
  const read = () => connection.run((client) => client.get('k'));
  const write = () => connection.run((client: Redis) => client.set('k', 'v'));
  const isRefused = (promise: Promise<unknown>, ms: number) =>
    within(ms, 'the rejection', expect(promise).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' }));

  it('is reopened at different times in processes that lost it together', () => {
    const { retryStrategy } = connection.client.options;
    for (const [attempt, ms] of [
      [1, 50],
      [4, 400],
      [20, 2_000],
    ] as const) {
      const waits = Array.from({ length: 200 }, () => retryStrategy!(attempt) as number);
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(0.5 * ms);
      expect(Math.min(...waits)).toBeLessThan(0.6 * ms);
      expect(Math.max(...waits)).toBeGreaterThan(1.4 * ms);
      expect(Math.max(...waits)).toBeLessThanOrEqual(1.5 * ms);
    }
  });

  it('does not rely on scripts that another server may not have', async () => {
    connection.knownScripts.add('any');
    await breakOff();
    proxy.refuse = false;
    await until(() => connection.ready);
    expect(connection.knownScripts.size).toBe(0);
  });

  it('is reopened after ioredis has stopped reconnecting', async () => {
    connection.client.disconnect();
    await until(() => connection.client.status === 'end');
    await until(() => connection.ready);
    expect(await write()).toBe('OK');
  });

  it('is reopened once if its server has become a replica, for any number of refused commands', async () => {
    const admin = server.admin();
    const { stream } = connection.client;
    const before = stream.listenerCount('close');
    await admin.replicaof('127.0.0.1', 1);
    await Promise.allSettled(Array.from({ length: 100 }, write));
    await until(() => stream.destroyed);
    expect(stream.listenerCount('close')).toBeLessThanOrEqual(before + 1);
    await admin.replicaof('NO', 'ONE');
    await until(() => connection.ready);
    expect(await write()).toBe('OK');
    admin.disconnect();
  });

  it('is reopened at a limited rate', async () => {
    let count = 0;
    connection.client.on('close', () => count++);
    const start = performance.now();
    await until(() => {
      connection.reconnect(300);
      return count === 3;
    });
    expect(performance.now() - start).toBeGreaterThan(590);
  });

  it('delays commands to the next connection while it closes the current one', async () => {
    connection.reconnect();
    expect(await write()).toBe('OK');
  });

  it('queues a bounded number of reads until it is open, each for 2 s', async () => {
    await breakOff();
    const reads = Array.from({ length: 1_000 }, read);
    await isRefused(read(), 1_000);
    for (const each of reads) await isRefused(each, 3_000);
    proxy.refuse = false;
    // Reads may fail until the connection is open again.
    await until(() =>
      read().then(
        (answer) => answer === null,
        () => false,
      ),
    );
  });

  it('rejects new and queued reads when it is closed', async () => {
    await breakOff();
    const waiting = isRefused(read(), 1_000);
    await connection.close();
    await waiting;
    await isRefused(read(), 1_000);
  });

  it('sends nothing later: unanswered and unsent commands fail when it breaks', async () => {
    proxy.dropUp = true;
    const unanswered = expect(connection.client.incr('k')).rejects.not.toThrow(/^Stream isn/);
    connection.client.stream.destroy();
    await expect(connection.client.incr('k')).rejects.toThrow(/^Stream isn/);
    await unanswered;
    proxy.dropUp = false;
    await until(() => connection.ready);
    expect(await connection.client.incr('k')).toBe(1);
  });

  it('waits for pending replies before it closes', async () => {
    server.signal('SIGSTOP');
    const written = write();
    setTimeout(() => server.signal('SIGCONT'), 600);
    await connection.close();
    expect(await written).toBe('OK');
  });
});

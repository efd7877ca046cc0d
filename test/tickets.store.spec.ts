import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { anyBroker, brokers } from './support/any-broker.js';
import { clusterBrokers } from './support/cluster-brokers.js';
import { Sentinels } from './support/sentinel.js';
import { until } from './support/until.js';

/** Tickets, as every broker keeps them. */
describe.each(brokers)('Tickets of the %s broker', (_, create) => {
  const { current, replace } = anyBroker(create);
  const put = (name: string, value: string, ttlMs = 60_000) => current.broker.tickets.put(name, value, ttlMs);
  const take = (name: string) => current.broker.tickets.take(name);

  it('are taken once, and apart from each other', async () => {
    await put('a', 'first {"é": 1}');
    await put('b', 'second');
    expect(await take('a')).toBe('first {"é": 1}');
    expect(await take('a')).toBeUndefined();
    expect(await take('c')).toBeUndefined();
    expect(await take('b')).toBe('second');
  });

  it('are taken by one of many calls at the same time', async () => {
    await put('a', 'value');
    const taken = await Promise.all(Array.from({ length: 50 }, () => take('a')));
    expect(taken.filter((value) => value !== undefined)).toEqual(['value']);
  });

  it('expire after their own time, which a repeated call does not prolong', async () => {
    await put('long', 'value');
    const since = performance.now();
    await put('short', 'value', 2_000);
    await put('short', 'again', 60_000);
    await put('taken', 'value', 2_000);
    expect(await take('taken')).toBe('value');
    await until(() => performance.now() - since > 2_100);
    expect(await take('short')).toBeUndefined();
    expect(await take('long')).toBe('value');
  });

  it('keep their first value', async () => {
    await put('a', 'first');
    await put('a', 'second');
    expect(await take('a')).toBe('first');
  });

  it('need no history', async () => {
    await replace(false);
    await put('a', 'value');
    expect(await take('a')).toBe('value');
  });
});

describe('Tickets in a Redis Cluster', () => {
  const { clusters, start } = clusterBrokers();

  it('are spread over the slots, and taken once, also by another node while their slot moves', async () => {
    const cluster = await clusters.take();
    const [one, other] = [start(cluster.options), start(cluster.options)];
    await until(() => one.connected && other.connected);
    const names = Array.from({ length: 60 }, () => randomUUID());
    await Promise.all(names.map((name) => one.tickets.put(name, `of ${name}`, 60_000)));
    const keys: string[][] = await Promise.all(
      cluster.servers.map(async (server) => (await cluster.call(server, 'KEYS', '*ticket*')) as string[]),
    );
    expect(keys.flat().toSorted()).toEqual(names.map((name) => `sse:{!ticket:${name}}:value`).toSorted());
    expect(keys.every((ofServer) => ofServer.length > 5)).toBe(true);
    expect(new Set(keys.flat().map((key) => calculateSlot(key))).size).toBeGreaterThan(50);

    const [moved, migrating] = names as [string, string];
    await cluster.move(`!ticket:${moved}`, await cluster.otherThanOwnerOf(`!ticket:${moved}`));
    const channel = `!ticket:${migrating}`;
    const migration = await cluster.migrate(channel, await cluster.otherThanOwnerOf(channel));
    await migration.carry(`sse:{${channel}}:value`);
    const taken = await Promise.all(
      names.flatMap((name) => [one, other].map((broker) => broker.tickets.take(name))),
    );
    expect(taken.filter((value) => value !== undefined).toSorted()).toEqual(
      names.map((name) => `of ${name}`).toSorted(),
    );
  });
});

describe('Tickets behind Sentinel', () => {
  it('are kept by the master, and taken once', async () => {
    const sentinels = await Sentinels.start();
    const broker = new RedisSseBroker(sentinels.options, 'sse:');
    await broker.tickets.put('a', 'value', 60_000);
    const taken = await Promise.all([broker.tickets.take('a'), broker.tickets.take('a')]);
    expect(taken.filter((value) => value !== undefined)).toEqual(['value']);
    await broker.close();
  });
});

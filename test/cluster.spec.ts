import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { Cluster } from 'ioredis';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { slotOf } from './support/cluster.js';
import { CHANNELS, clusterBrokers, MODES } from './support/cluster-brokers.js';
import { watchLog } from './support/log.js';
import { startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

/** How the broker connects to a cluster and uses it. Moves and outages are in separate files. */
describe('In a Redis Cluster', () => {
  const { clusters, start, publish, subscribe, settled, throughProxies } = clusterBrokers();
  const { failed, warned } = watchLog();

  it.each(MODES)(
    '%s: publishes, receives and reads every channel on every master, with all its keys in one slot',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      const redis = { ...cluster.options, shardedSubscribers };
      const [one, other] = [start(redis), start(redis)];
      const calls = CHANNELS.map((channel) => subscribe(other, channel));
      await settled(...calls);
      await other.opened();
      expect(other.state).toBe('up');
      for (const channel of CHANNELS) {
        await publish(one, channel, 1);
        await publish(one, channel, 2, { transient: true });
        await publish(one, channel, 3, { id: `of-${channel}`, idempotencyKey: 'key' });
      }
      await until(() => calls.every((each) => each.join() === 'subscribed,1,2,3'));
      for (const channel of CHANNELS) {
        const { events } = await other.read(channel, ['0000000000-0'], 10);
        expect(events.map(({ json }) => JSON.parse(json) as unknown)).toEqual([1, 3]);
        const { after, tip } = await one.read(channel, [`of-${channel}`], 10);
        expect(after).toBe(tip);
      }
      for (const master of await cluster.masters()) {
        for (const key of (await cluster.call(master, 'KEYS', '*')) as string[]) {
          const [, channel] = /^sse:\{(.*?)\}:/.exec(key)!;
          expect([key, calculateSlot(key)]).toEqual([key, slotOf(channel!)]);
        }
      }
      // Each broker has a command connection to each master. Only `other` has subscriber connections.
      const names = (await cluster.connections()).flat().toSorted();
      const receiving = Array<string>(shardedSubscribers ? 3 : 1).fill('subscriber');
      expect(names).toEqual([...Array<string>(6).fill('commands'), ...receiving]);
      expect([failed.mock.calls, warned.mock.calls]).toEqual([[], []]);
    },
  );

  it.each(MODES)(
    '%s: leaves no connection open if the broker is closed while it connects',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      for (let n = 0; n < 15; n++) {
        const broker = start({ ...cluster.options, shardedSubscribers });
        for (const channel of CHANNELS) subscribe(broker, channel);
        publish(broker, 'a', n).catch(() => undefined);
        await sleep(2 * n);
        await broker.close();
      }
      const connections = async () => (await cluster.connections()).flat().length;
      await until(connections, (count) => count === 0);
      // By now every connection attempt has ended.
      await sleep(1_000);
      expect(await connections()).toBe(0);
    },
  );

  it('uses a password that is given with only one of `nodes`', async () => {
    const cluster = await clusters.take();
    for (const server of cluster.servers)
      await cluster.call(server, 'CONFIG', 'SET', 'requirepass', 'secret');
    const [one, other] = cluster.servers;
    const broker = start({ nodes: [one!.port, `redis://:secret@127.0.0.1:${other!.port}`] });
    await Promise.all(['a', 'b', 'c'].map((channel) => publish(broker, channel, 1)));
  });

  it.each<[string, (ports: number[]) => NonNullable<SseModuleOptions['redis']>]>([
    ['a Cluster', (ports) => new Cluster(ports, { lazyConnect: true, keyPrefix: 'app:' })],
    ['a URL of one node', ([port]) => ({ nodes: [`redis://127.0.0.1:${port}`], keyPrefix: 'app:' })],
    [
      'an address of one node',
      ([, port]) => ({ nodes: [`127.0.0.1:${port}`], redisOptions: { keyPrefix: 'app:' } }),
    ],
  ])('accepts %s with its keyPrefix', async (_, given) => {
    const cluster = await clusters.take();
    const redis = given(cluster.servers.map(({ port }) => port));
    const broker = start(redis);
    await Promise.all(['a', 'b', 'c'].map((channel) => publish(broker, channel, 1)));
    const admin = cluster.admin();
    expect(await admin.exists('app:sse:{a}:history')).toBe(1);
    admin.disconnect();
    if (redis instanceof Cluster) expect(redis.status).toBe('wait');
  });

  it('reaches servers through a natMap alone', async () => {
    const cluster = await clusters.take();
    const { proxies, nodes, natMap } = await throughProxies(cluster);
    // The natMap never yields this host name: the broker closes this connection once it knows all servers.
    const broker = start({ nodes: [{ ...nodes[0]!, host: 'localhost' }], natMap });
    const calls = subscribe(broker, 'a');
    await settled(calls);
    await Promise.all(['a', 'b', 'c'].map((channel) => publish(broker, channel, 1)));
    const connections = async () => (await cluster.connections()).flat().length;
    await until(connections, (count) => count === 4);
    for (const proxy of proxies.values()) {
      proxy.refuse = true;
      proxy.cut();
    }
    await until(connections, (count) => count === 0);
    for (const proxy of proxies.values()) proxy.refuse = false;
    await until(() => broker.state === 'up');
  });

  it('logs the mistake if a cluster node is configured as a single server, or a single server as a cluster node', async () => {
    const [cluster, alone] = [await clusters.take(), await startRedis()];
    await start(cluster.servers[0]!.url).opened();
    expect(String(warned.mock.calls.flat()[0])).toContain('{ nodes: [');
    const misled = start({ nodes: [alone.port] });
    await within(8_000, 'the error', expect(misled.opened()).rejects.toThrow('cluster support disabled'));
    expect(String(failed.mock.calls.flat()[0])).toContain('cluster support disabled');
  });
});

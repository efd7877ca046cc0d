import { afterEach } from '@jest/globals';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { RedisSseBroker } from '../../src/broker/redis/redis.broker.js';
import { checkPublication } from '../../src/event/event.js';
import { HISTORY_DEFAULTS } from '../../src/options/sse.options.js';
import type { TestCluster } from './cluster.js';
import { ClusterSupply } from './cluster-supply.js';
import { Proxy } from './proxy.js';
import type { RedisServer } from './redis.js';
import { until } from './until.js';

export const MODES = [
  ['classic', false],
  ['sharded', true],
] as const;

/** The first three are on three masters. The others look like keys. */
export const CHANNELS = ['a', 'b', 'c', 'news:1', 'user@example', '~/x', '0', 'A-b_c.d'];

/** Clusters, and brokers on them that are closed after each test. To be called within a `describe()`. */
export function clusterBrokers() {
  const clusters = new ClusterSupply();
  const brokers: RedisSseBroker[] = [];
  const proxies: Proxy[] = [];
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    for (const proxy of proxies.splice(0)) proxy.close();
  });

  const start = (
    redis: NonNullable<SseModuleOptions['redis']>,
    { maxEvents = 10_000, probeMs }: { maxEvents?: number; probeMs?: number } = {},
  ) => {
    const history = { ...HISTORY_DEFAULTS, maxEvents, explicit: true };
    const broker = new RedisSseBroker(redis, 'sse:', history, probeMs);
    brokers.push(broker);
    return broker;
  };
  const publish = (broker: RedisSseBroker, channel: string, data: unknown, options = {}) =>
    broker.publish(channel, checkPublication(data, options, 1_000));
  const subscribe = (broker: RedisSseBroker, channel: string) => {
    const calls: string[] = [];
    broker.subscribe(channel, {
      onSubscribed: () => calls.push('subscribed'),
      onInterrupted: () => calls.push('interrupted'),
      onMessage: (text) => calls.push(String((JSON.parse(text) as { data: unknown }).data)),
    });
    return calls;
  };
  const settled = (...all: string[][]) => until(() => all.every((calls) => calls.at(-1) === 'subscribed'));
  /** Starts to migrate the slot of a channel. The test moves its keys. */
  const halfway = async (cluster: TestCluster, channel: string) => {
    const migration = await cluster.migrate(channel, await cluster.otherThanOwnerOf(channel));
    const carry = (name: string) => migration.carry(`sse:{${channel}}:${name}`);
    return { ...migration, carry };
  };
  /** Waits until a server has refused a command. */
  const refused = async (cluster: TestCluster, server: RedisServer, errors = /errorstat_TRYAGAIN/) =>
    until(
      async () => String(await cluster.call(server, 'INFO', 'errorstats')),
      (text) => errors.test(text),
    );
  /** A proxy for each server, by its port, and options that lead to the servers through these proxies. */
  const throughProxies = async (cluster: TestCluster) => {
    const byPort = new Map<number, Proxy>();
    for (const { port } of cluster.servers) byPort.set(port, await Proxy.start(port));
    proxies.push(...byPort.values());
    const through = (port: number) => ({
      host: '127.0.0.1',
      port: Number(new URL(byPort.get(port)!.url).port),
    });
    const nodes = cluster.servers.map(({ port }) => through(port));
    const natMap = (address: string) => through(Number(address.split(':')[1]));
    return { proxies: byPort, nodes, natMap };
  };

  return { clusters, start, publish, subscribe, settled, halfway, refused, throughProxies };
}

import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisClusterOptions } from 'nestjs-sse-channels';
import { Proxy } from '../support/proxy.js';

/** How a process of the rig connects to Redis: through its own proxy, or with options of ioredis. */
export type Way = Proxy | RedisOptions | RedisClusterOptions;

/** Several servers instead of one. */
export interface Topology {
  readonly options: Exclude<Way, Proxy>;
  admin(): Redis | Cluster;
}

export const redisOf = (way: Way): string | RedisOptions | RedisClusterOptions =>
  way instanceof Proxy ? way.url : way;

/** @throws Error if the process has no proxy */
export function proxyOf(way: Way): Proxy {
  if (way instanceof Proxy) return way;
  throw new Error('It has no proxy');
}

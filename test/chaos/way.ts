import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisClusterOptions } from 'nestjs-sse-channels';
import { Proxy } from '../support/proxy.js';

/** How a process of the rig gets to Redis: through a proxy of its own, or by what ioredis is told. */
export type Way = Proxy | RedisOptions | RedisClusterOptions;

/** What there is in place of one server. */
export interface Topology {
  readonly options: Exclude<Way, Proxy>;
  admin(): Redis | Cluster;
}

export const redisOf = (way: Way): string | RedisOptions | RedisClusterOptions =>
  way instanceof Proxy ? way.url : way;

/** @throws Error where the rig has none */
export function proxyOf(way: Way): Proxy {
  if (way instanceof Proxy) return way;
  throw new Error('It has no proxy');
}

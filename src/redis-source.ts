import type { ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { optionError, show } from './sse.errors.js';
import type { RedisClient, RedisSource } from './sse.options.js';

/**
 * Checks the option `redis`, and turns the path of a Unix socket, or its URL, into ioredis's options.
 *
 * @throws SseError `SSE_OPTIONS`, which shows no password
 */
export function resolveRedis(redis: unknown): RedisSource {
  if (typeof redis === 'string') {
    if (isSocket(redis)) return socketOptions(redis);
    if (isRedisUrl(redis)) return redis;
    const expected =
      'a URL such as redis://localhost:6379/0, or the path of a socket such as /run/redis.sock';
    throw optionError('redis', expected, show(withoutPassword(redis)));
  }
  if (!isRedisClient(redis) && (typeof redis !== 'object' || redis === null || Array.isArray(redis))) {
    throw optionError('redis', 'a URL, ioredis options or an ioredis instance', show(redis));
  }
  checkCluster(redis);
  return redis;
}

/** Whether the value is an ioredis instance, told by its shape. */
export function isRedisClient(value: unknown): value is RedisClient {
  const client = value as Partial<RedisClient> | null | undefined;
  return typeof client?.duplicate === 'function' && typeof client.subscribe === 'function';
}

/** What a cluster is found by, as ioredis takes it. */
export interface ClusterSource {
  readonly nodes: readonly ClusterNode[];
  readonly options: ClusterOptions;
}

/** Where `redis` is for a cluster: options with `nodes`, or a `Cluster`, told by its shape in ioredis 5 and 6. */
export function clusterOf(redis: RedisSource): ClusterSource | undefined {
  if (typeof redis === 'string') return undefined;
  if (!isRedisClient(redis)) {
    if (!('nodes' in redis)) return undefined;
    const { nodes, ...options } = redis;
    return { nodes, options };
  }
  const { isCluster, startupNodes, options } = redis as {
    isCluster?: unknown;
    startupNodes?: unknown;
    options?: unknown;
  };
  return isCluster === true
    ? { nodes: startupNodes as ClusterNode[], options: options as ClusterOptions }
    : undefined;
}

/** ioredis's `keyPrefix`, as whatever was given has it. */
export function keyPrefixOf(redis: RedisSource): string {
  if (typeof redis === 'string') return new URL(redis).searchParams.get('keyPrefix') ?? '';
  const { options } = clusterOf(redis) ?? {};
  return optionsOf(redis).keyPrefix ?? options?.redisOptions?.keyPrefix ?? '';
}

/** Where Redis is, for the log: addresses, and no credentials. */
export function addressOf(redis: RedisSource): string {
  if (typeof redis === 'string') {
    const { protocol, host, pathname } = new URL(redis);
    return `${protocol}//${host}${pathname}`;
  }
  const cluster = clusterOf(redis);
  if (cluster) return `the cluster of ${cluster.nodes.map(nodeAddress).join(', ')}`;
  const { path, sentinels, name, db = 0, ...node } = optionsOf(redis);
  if (path) return `${path}, database ${db}`;
  if (sentinels) return `the master ${name} of the sentinels ${sentinels.map(nodeAddress).join(', ')}`;
  return `redis://${nodeAddress(node)}/${db}`;
}

function nodeAddress(node: ClusterNode | { host?: string; port?: number }): string {
  if (typeof node === 'number') return `localhost:${node}`;
  if (typeof node === 'string') return URL.canParse(node) && isRedisUrl(node) ? new URL(node).host : node;
  return `${node.host ?? 'localhost'}:${node.port ?? 6379}`;
}

function optionsOf(redis: Exclude<RedisSource, string>): RedisOptions {
  return (isRedisClient(redis) ? (redis as Partial<Redis>).options : redis) ?? {};
}

const isSocket = (text: string) => text.startsWith('/') || /^unix:\/\/\/./.test(text);

/** `/run/redis.sock` or `unix:///run/redis.sock?db=2`; other parts of the query are options, too, as in ioredis. */
function socketOptions(text: string): RedisOptions {
  const [path = '', query = ''] = text.replace(/^unix:\/\//, '').split('?', 2);
  const { db = '0', ...others } = Object.fromEntries(new URLSearchParams(query));
  if (!/^\d+$/.test(db)) throw optionError('redis', 'with a number as `db`', show(db));
  return { ...others, path: text.startsWith('unix:') ? decodeURIComponent(path) : path, db: Number(db) };
}

/** A host, and perhaps a port: what follows a colon and is no port may be a password. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

function checkCluster(redis: RedisSource): void {
  const cluster = clusterOf(redis);
  if (!cluster) return;
  const { nodes, options } = cluster;
  const keyPrefix = keyPrefixOf(redis);
  const isNode = (node: unknown) =>
    typeof node === 'string' ? isRedisUrl(node) || HOST.test(node) : isPortOrOptions(node);
  if (!Array.isArray(nodes) || nodes.length === 0 || !nodes.every(isNode)) {
    const wrong: unknown = Array.isArray(nodes) ? nodes.find((node) => !isNode(node)) : nodes;
    const got = typeof wrong === 'string' ? withoutPassword(wrong) : wrong;
    throw optionError(
      'redis.nodes',
      'a list of nodes such as { host, port } or redis://host:6379',
      show(got ?? nodes),
    );
  }
  if (keyPrefix.includes('{}')) {
    throw optionError('redis.keyPrefix', 'without {}, so that a channel is on one server', show(keyPrefix));
  }
  if (options.useSRVRecords) {
    throw optionError('redis.useSRVRecords', 'left out: name the nodes', show(options.useSRVRecords));
  }
}

const isPortOrOptions = (node: unknown) =>
  typeof node === 'number' || (typeof node === 'object' && node !== null);

function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return /^rediss?:$/.test(protocol) && hostname !== '' && /^(\/\d*)?$/.test(pathname);
}

/** Leaves out whatever may be a password, also where the URL lacks its host. What follows a colon is shown if it is a port. */
function withoutPassword(url: string): string {
  return url
    .replace(/[^]*@/, '***@')
    .replaceAll(/(pass\w*=)[^&]*/gi, '$1***')
    .replaceAll(/(?<!\[[^\]]*):(?!\/\/)([^/?#]+)/g, (part, port: string, at: number, text: string) =>
      /^\d{1,5}$/.test(port) && /[\w\]]/.test(text[at - 1] ?? '') ? part : ':***',
    );
}

import type { ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { fieldsOf, isOptions } from '../common/objects.js';
import { checkNames, optionError, show, type SseError } from '../common/sse.errors.js';
import type { RedisClient, RedisSource } from './sse.options.js';

/** What ioredis takes: a misspelt one would mean localhost, or another database, without a word. */
const CLIENT_KEYS = (
  'host port path family db username password tls keyPrefix name role sentinels sentinelUsername sentinelPassword ' +
  'sentinelTLS enableTLSForSentinelMode sentinelRetryStrategy sentinelReconnectStrategy sentinelCommandTimeout ' +
  'sentinelMaxConnections preferredSlaves updateSentinels failoverDetector natMap Connector retryStrategy ' +
  'reconnectOnError maxRetriesPerRequest maxLoadingRetryTime connectTimeout disconnectTimeout commandTimeout ' +
  'socketTimeout blockingTimeout blockingTimeoutGrace keepAlive noDelay connectionName disableClientInfo clientInfoTag ' +
  'autoResubscribe autoResendUnfulfilledCommands readOnly stringNumbers protocol replyMapping monitor lazyConnect ' +
  'enableAutoPipelining autoPipeliningIgnoredCommands enableOfflineQueue enableReadyCheck offlineQueue commandQueue ' +
  'scripts himportFieldsets showFriendlyErrorStack'
).split(' ');

/** The same for a cluster. */
const CLUSTER_KEYS = (
  'nodes redisOptions keyPrefix natMap shardedSubscribers useSRVRecords resolveSrv dnsLookup clusterRetryStrategy ' +
  'clusterNodeRetryStrategy enableOfflineQueue enableReadyCheck scaleReads maxRedirections retryDelayOnFailover ' +
  'retryDelayOnClusterDown retryDelayOnTryAgain retryDelayOnMoved slotsRefreshTimeout slotsRefreshInterval lazyConnect ' +
  'enableAutoPipelining autoPipeliningIgnoredCommands scripts himportFieldsets showFriendlyErrorStack'
).split(' ');

/** What the query of a URL may have: not where Redis is, which the rest of it says. */
const QUERY_KEYS = CLIENT_KEYS.filter((key) => !['host', 'port', 'path', 'sentinels', 'name'].includes(key));

/**
 * Checks the option `redis`, and turns the path of a Unix socket, or its URL, into ioredis's options.
 *
 * @throws SseError `SSE_OPTIONS`, which shows no password
 */
export function resolveRedis(redis: unknown): RedisSource {
  if (typeof redis === 'string') {
    if (isSocket(redis)) return socketOptions(redis);
    if (!isRedisUrl(redis)) throw urlError(redis);
    checkQuery(new URL(redis).searchParams);
    return redis;
  }
  if (isRedisClient(redis)) {
    checkCluster(redis);
    return redis;
  }
  if (!isOptions(redis, ['nodes', ...CLIENT_KEYS])) {
    throw optionError('redis', 'a URL as text, ioredis options or an ioredis instance', show(redis));
  }
  const isCluster = 'nodes' in redis;
  const known = isCluster ? CLUSTER_KEYS : CLIENT_KEYS;
  const options = fieldsOf(redis, known);
  checkNames('redis.', options, known);
  if (isCluster) checkCluster(options);
  else checkServer(options);
  return options;
}

/** Whether the value is an ioredis instance, judging by its shape. */
export function isRedisClient(value: unknown): value is RedisClient {
  const client = value as Partial<RedisClient> | null | undefined;
  return typeof client?.duplicate === 'function' && typeof client.subscribe === 'function';
}

/** What a cluster is found by, as ioredis takes it. */
export interface ClusterSource {
  readonly nodes: readonly ClusterNode[];
  readonly options: ClusterOptions;
}

/** The options of a cluster: given as `nodes`, or by a `Cluster`, which its shape in ioredis 5 and 6 shows. Undefined for a single server. */
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
    const { protocol, host, pathname, searchParams } = new URL(redis);
    const db = searchParams.get('db');
    return `${protocol}//${host}${pathname.length > 1 || db === null ? pathname : `/${db}`}`;
  }
  const cluster = clusterOf(redis);
  if (cluster) return `the cluster of ${cluster.nodes.map(nodeAddress).join(', ')}`;
  const { path, sentinels, name, db = 0, ...node } = optionsOf(redis);
  if (path) return `${withoutPassword(path)}, database ${db}`;
  if (sentinels) return `the master ${name} of the sentinels ${sentinels.map(nodeAddress).join(', ')}`;
  return `redis://${nodeAddress(node)}/${db}`;
}

function nodeAddress(node: ClusterNode | { host?: string; port?: number }): string {
  if (typeof node === 'number') return `localhost:${node}`;
  if (typeof node === 'string') return isRedisUrl(node) ? new URL(node).host : withoutPassword(node);
  return `${withoutPassword(node.host ?? 'localhost')}:${node.port ?? 6379}`;
}

function optionsOf(redis: Exclude<RedisSource, string>): RedisOptions {
  return (isRedisClient(redis) ? (redis as Partial<Redis>).options : redis) ?? {};
}

const isSocket = (text: string) => text.startsWith('/') || /^unix:\/\/\/./.test(text);

/** `/run/redis.sock` or `unix:///run/redis.sock?db=2`; other parts of the query are options, too, as in ioredis. */
function socketOptions(text: string): RedisOptions {
  const [, path = '', query] = /^(?:unix:\/\/)?([^?]*)\??(.*)$/s.exec(text)!;
  const search = new URLSearchParams(query);
  checkQuery(search);
  const { db = '0', ...others } = Object.fromEntries(search);
  const decoded = text.startsWith('unix:') ? decode(path) : path;
  if (decoded === undefined) throw urlError(text);
  return { ...others, path: decoded, db: Number(db) };
}

function checkQuery(query: URLSearchParams): void {
  for (const [key, value] of query) {
    if (!QUERY_KEYS.includes(key)) {
      const expected = 'a URL whose query has options of ioredis, such as db, password or keyPrefix';
      throw optionError('redis', expected, show(key));
    }
    if (key === 'db' && !/^\d+$/.test(value))
      throw optionError('redis', 'with a number as `db`', show(value));
  }
}

/** What names a place has to say which: an undefined host is localhost for ioredis. */
function checkServer(redis: Record<string, unknown>): void {
  checkPlace('redis', redis);
  const { sentinels, name, db } = redis;
  if ('path' in redis && (typeof redis.path !== 'string' || redis.path === '')) {
    throw optionError('redis.path', 'the path of a socket, such as /run/redis.sock', show(redis.path));
  }
  if (db !== undefined && db !== null && !isNumber(db)) {
    throw optionError('redis.db', 'the number of a database', show(db));
  }
  // ioredis has null where there are none.
  if (!('sentinels' in redis) || sentinels === null) return;
  const wrong = findWrong(sentinels, (sentinel) => typeof sentinel === 'object' && isNode(sentinel));
  if (wrong) throw optionError('redis.sentinels', 'a list of sentinels such as { host, port }', wrong);
  if (typeof name !== 'string' || name === '') {
    throw optionError('redis.name', 'the name of the master that the sentinels watch', show(name));
  }
}

function checkPlace(path: string, place: object): void {
  const { host, port } = place as { host?: unknown; port?: unknown };
  if ('host' in place && (typeof host !== 'string' || !/^[^\s/@?#]+$/.test(host))) {
    const got = typeof host === 'string' ? withoutPassword(host) : host;
    throw optionError(`${path}.host`, 'the name or the address of a host, and no URL', show(got));
  }
  if ('port' in place && !(isNumber(port) && Number(port) > 0 && Number(port) < 65_536)) {
    throw optionError(`${path}.port`, 'the number of a port', show(port));
  }
}

/** A host, and perhaps a port: what follows a colon and is no port may be a password. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

function checkCluster(redis: RedisSource): void {
  const cluster = clusterOf(redis);
  if (!cluster) return;
  const { nodes, options } = cluster;
  const keyPrefix = keyPrefixOf(redis);
  const wrong = findWrong(nodes, isNode);
  if (wrong) {
    throw optionError('redis.nodes', 'a list of nodes such as { host, port } or redis://host:6379', wrong);
  }
  if (keyPrefix.includes('{}')) {
    throw optionError('redis.keyPrefix', 'without {}, so that a channel is on one server', show(keyPrefix));
  }
  if (options.useSRVRecords) {
    throw optionError('redis.useSRVRecords', 'left out: name the nodes', show(options.useSRVRecords));
  }
}

/** @returns what to show where it is no list, an empty one, or one of others */
function findWrong(list: unknown, isRight: (item: unknown) => boolean): string | undefined {
  if (!Array.isArray(list) || list.length === 0) return show(list);
  const index = list.findIndex((item) => !isRight(item));
  if (index < 0) return undefined;
  const item: unknown = list[index];
  return show(typeof item === 'string' ? withoutPassword(item) : item);
}

/** A node of a cluster, or a sentinel: an address or a port, or an object that has one. */
function isNode(node: unknown): boolean {
  if (typeof node === 'string') return isRedisUrl(node) || HOST.test(node);
  if (typeof node === 'number') return Number.isInteger(node);
  if (!isOptions(node, CLIENT_KEYS) || !('host' in node || 'port' in node)) return false;
  const fields = fieldsOf(node, CLIENT_KEYS);
  checkNames('redis node ', fields, CLIENT_KEYS);
  checkPlace('redis node', fields);
  return true;
}

/** As ioredis takes it: from the environment it is text. */
const isNumber = (value: unknown) =>
  (typeof value === 'number' || typeof value === 'string') && /^\d+$/.test(String(value));

function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, username, password } = new URL(text);
  const isDecodable = decode(username + password) !== undefined;
  return /^rediss?:$/.test(protocol) && hostname !== '' && /^(\/\d*)?$/.test(pathname) && isDecodable;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function urlError(url: string): SseError {
  const expected = 'a URL such as redis://localhost:6379/0, or the path of a socket such as /run/redis.sock';
  return optionError('redis', expected, show(withoutPassword(url)));
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

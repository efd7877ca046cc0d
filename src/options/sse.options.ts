import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis';
import { NO_METRICS, type SseMetrics } from './sse.metrics.js';

/** An ioredis instance of the application: version 5 or 6, from any copy of ioredis. */
export interface RedisClient {
  duplicate(...args: never[]): unknown;
  subscribe(...args: never[]): unknown;
  readonly status: string;
}

/**
 * ioredis's options for a Redis Cluster, with its first nodes: one reachable node is enough. Of the options
 * `redisOptions`, `natMap`, `keyPrefix` and `shardedSubscribers` (sharded Pub/Sub, from Redis 7.0 on; all processes need the same)
 * are used; `useSRVRecords` is refused.
 */
export interface RedisClusterOptions extends ClusterOptions {
  /** The first nodes: URLs, ports, or `{ host, port }`. */
  nodes: ClusterNode[];
}

/** How much history a channel keeps, and how much of it one client gets when it reconnects. All fields are optional. */
export interface SseHistoryOptions {
  /** Minimum number of events kept per channel, 1–1,000,000; up to 100 more, as Redis trims in blocks. @default 1000 */
  maxEvents?: number;
  /** Minimum time for which events are kept, in ms, 1,000–604,800,000 (a week). @default 600000 */
  maxAgeMs?: number;
  /** Events a client may have missed before it gets `sse.reset` (`limit`) instead, 0–1,000,000. @default 1000 */
  maxReplayEvents?: number;
  /** The same in bytes of their JSON (characters, where they come from memory), 0–1,073,741,824. @default 4194304 */
  maxReplayBytes?: number;
}

/**
 * Limits of one process. Connections beyond them are answered so that an `EventSource` reconnects after about 10 s: 200, the
 * reconnection time, and the end. All fields are optional.
 */
export interface SseLimits {
  /** Open connections, 1–10,000,000. @default 20000 */
  connections?: number;
  /**
   * Open `@SseChannel()` connections of one client address, 1–10,000,000. Behind a proxy, Express needs `trust proxy` and Fastify
   * `trustProxy`: otherwise all clients have the proxy's address. So have all clients through a Unix socket.
   * IPv6 addresses count by their /64.
   *
   * @default no bound
   */
  connectionsPerAddress?: number;
  /** Open connections of one user, if it is known, 1–10,000,000. @default 100 */
  connectionsPerUser?: number;
  /** Channels with connections, 1–10,000,000. @default 50000 */
  channels?: number;
  /** Different channels of the `@SseChannel()` connections of one client address, 1–10,000,000. @default half of `channels` */
  channelsPerAddress?: number;
  /**
   * Open `@SseChannel()` connections of one HTTP/2 session and address, 1–10,000,000: of all tabs of a browser, or of all clients for
   * which a proxy uses it. @default 100
   */
  connectionsPerSession?: number;
  /**
   * Channels of connections with a Last-Event-ID, per second, 1–10,000,000: each may cost reads of Redis. Five seconds’
   * worth may come at once, for example after the end of a node. @default 2000
   */
  resumesPerSecond?: number;
}

/** Which events are compressed. All fields are optional. */
export interface SseCompressionOptions {
  /**
   * From how many bytes on the events of one write are compressed, 0–1,048,576. Fewer bytes go out as they are, with 10 bytes more.
   *
   * @default 400
   */
  minBytes?: number;
}

/** Where Redis is. */
export type RedisSource = string | RedisOptions | RedisClusterOptions | RedisClient;

/** The options of the module. All fields are optional. */
export interface SseModuleOptions {
  /**
   * The Redis that carries the events: a `redis://` or `rediss://` URL, the path of a Unix socket (`/run/redis.sock`, or with a database
   * `unix:///run/redis.sock?db=2`), ioredis options (also for Sentinel, or with the `nodes` of a cluster), or an ioredis
   * instance (`Redis` or `Cluster`). The module takes the address from an instance, and never uses, subscribes or closes it;
   * its `keyPrefix` goes in front of `prefix`. Without `redis`, events stay in this process. The log says at the start which it is.
   *
   * @default none: in memory
   */
  redis?: RedisSource;
  /**
   * Whether the application fails to start if Redis is unreachable for 5 s, is older than 6.2 (7.0 with sharded Pub/Sub) or a read-only
   * replica, or `redis` is not given. Otherwise the application starts, connections open, and publishing fails until Redis is reachable.
   *
   * @default false
   */
  requireRedis?: boolean;
  /**
   * Prefix of every Redis key and Pub/Sub channel of the module. Applications that share a Redis need different ones;
   * `''` makes channels the plain names that Invenio-SSE and Flask-SSE use.
   *
   * @default 'sse:'
   */
  prefix?: string;
  /** Maximum size of an event's data, in bytes of UTF-8 as sent: 1–1,048,576. @default 262144 */
  maxPayloadBytes?: number;
  /**
   * How much history each channel keeps, for clients that reconnect: at least the last `maxEvents`, for at least
   * `maxAgeMs`. In Redis the values belong to the channel: they are stored beside the events and hold for all
   * publishers that set none, such as the command line. With `false`, nothing is stored: the broker gives events no ids,
   * and clients do not learn that they have missed events.
   *
   * @default the channel's values, otherwise 1,000 events and 10 minutes
   */
  history?: false | SseHistoryOptions;
  /**
   * Time between two heartbeats of an `@SseChannel()` connection, in ms, 1,000–3,600,000. Keep it below the
   * idle time-out of every proxy in front (often 60 s).
   *
   * @default 15000
   */
  heartbeatMs?: number;
  /**
   * After how long `@SseChannel()` clients reconnect when their connection ends, in ms, 100–3,600,000. Each
   * client gets another value, ± 50 %, so that they do not all reconnect at once.
   *
   * @default 3000
   */
  retryMs?: number;
  /**
   * How long the events of an `@SseChannel()` or `@SseStream()` connection may wait for further ones, to go out in one write, in ms,
   * 0–1,000. With 0, the events of one turn of the event loop do. The first event after a silence leaves at once, and so do ends of
   * connections and 64 KiB of waiting events. One timer serves all connections with the same value. Routes may have another one.
   *
   * @default 0
   */
  writeIntervalMs?: number;
  /**
   * The longest time until an authorizer is asked again about an open connection, in ms, 1,000–86,400,000. The time
   * differs between connections: it is half of the value or more.
   *
   * @default 300000
   */
  revalidateMs?: number;
  /**
   * After how long an `@SseChannel()` connection ends, so that its client reconnects, possibly to a less busy node, in ms,
   * 1,000–604,800,000 (a week), ± 20 %, so that clients do not all reconnect at once. They miss nothing.
   *
   * @default 1800000; with `history: false` no bound, as they would miss events in between
   */
  maxConnectionAgeMs?: number | false;
  /**
   * Over how long connections close when a signal shuts the application down
   * (`app.enableShutdownHooks()`), in ms, 0–600,000. In that time it serves requests, but accepts no connections. It does not wait
   * if none are open.
   *
   * @default 5000 with `NODE_ENV=production`, otherwise 0: in development no other node takes the clients over
   */
  drainMs?: number;
  /**
   * Whether `@SseChannel()` and `@SseStream()` responses are compressed for clients that accept gzip. The events of one write are compressed once
   * per process for all clients that get the same ones: about 25 µs for 1 kB. A route with `@Header('Content-Encoding', 'identity')` is not
   * compressed: use it where a client gets secrets beside text that an attacker may choose.
   *
   * @default false
   */
  compression?: boolean | SseCompressionOptions;
  /** An adapter for metrics, such as `PrometheusMetrics`. @default none; `SseService.stats()` has the same values */
  metrics?: SseMetrics;
  /** Limits of one process. */
  limits?: SseLimits;
  /**
   * Origins besides the application's own, such as `https://app.example.com` or `capacitor://localhost`, whose pages may read
   * `@SseChannel()` routes and guarded `@Sse()` ones, also with cookies. They are compared exactly, and get the CORS headers that this
   * takes. Pages of all other origins are refused with 403 if their requests carry credentials that browsers add by themselves:
   * cookies, HTTP authentication, client certificates.
   *
   * @default []
   */
  origins?: readonly string[];
}

/** Implemented by a class given to `SseModule.forRootAsync({ useClass })` or `useExisting`. */
export interface SseOptionsFactory {
  /** Returns the options, or a Redis URL. Called once, at the start. */
  createSseOptions(): Promise<SseModuleOptions | string> | SseModuleOptions | string;
}

/** History options with every default applied. */
export interface History extends Required<SseHistoryOptions> {
  /** Whether `maxEvents` or `maxAgeMs` was set: only then they are stored with the channel. */
  readonly explicit: boolean;
}

/** The options with every default applied. */
export type ResolvedOptions = Required<
  Omit<SseModuleOptions, 'redis' | 'history' | 'limits' | 'compression'>
> &
  Pick<SseModuleOptions, 'redis'> & {
    history: History | false;
    limits: Required<SseLimits>;
    compression: Required<SseCompressionOptions> | false;
  };

/** Their injection token. */
export const RESOLVED_OPTIONS = Symbol('SSE_RESOLVED_OPTIONS');

export const DEFAULTS = Object.freeze({
  prefix: 'sse:',
  maxPayloadBytes: 262_144,
  heartbeatMs: 15_000,
  retryMs: 3_000,
  writeIntervalMs: 0,
  revalidateMs: 300_000,
  requireRedis: false,
  maxConnectionAgeMs: 1_800_000,
  drainMs: 5_000,
  metrics: NO_METRICS,
  origins: [] as readonly string[],
});

/** The defaults of `history`; `maxEvents` and `maxAgeMs` are also in `publish.lua`, for publishers in other languages. */
export const HISTORY_DEFAULTS: Readonly<History> = Object.freeze({
  maxEvents: 1_000,
  maxAgeMs: 600_000,
  maxReplayEvents: 1_000,
  maxReplayBytes: 4_194_304,
  explicit: false,
});

export const COMPRESSION_DEFAULTS: Readonly<Required<SseCompressionOptions>> = Object.freeze({
  minBytes: 400,
});

export const LIMIT_DEFAULTS: Readonly<Required<SseLimits>> = Object.freeze({
  connections: 20_000,
  connectionsPerAddress: Infinity,
  connectionsPerUser: 100,
  channels: 50_000,
  resumesPerSecond: 2_000,
  channelsPerAddress: 25_000,
  connectionsPerSession: 100,
});

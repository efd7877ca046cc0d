import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis';
import { NO_METRICS, type SseMetrics } from './sse.metrics.js';

/** An ioredis instance of yours, as far as the module knows it: versions 5 and 6, from whatever copy of ioredis. */
export interface RedisClient {
  duplicate(...args: never[]): unknown;
  subscribe(...args: never[]): unknown;
  readonly status: string;
}

/**
 * ioredis's options for a Redis Cluster, with the nodes to begin with: one that is in reach is enough. Of the options
 * `redisOptions`, `natMap`, `keyPrefix` and `shardedSubscribers` (sharded Pub/Sub, from Redis 7.0 on; all processes need the same)
 * count; `useSRVRecords` is refused.
 */
export interface RedisClusterOptions extends ClusterOptions {
  nodes: ClusterNode[];
}

/** How much of a channel is kept, and how much of it one client gets when it comes back. All fields are optional. */
export interface SseHistoryOptions {
  /** Events kept per channel at least, 1–1,000,000; up to 100 more, as Redis frees them in blocks. @default 1000 */
  maxEvents?: number;
  /** Time for which events are kept at least, in ms, 1,000–604,800,000 (a week). @default 600000 */
  maxAgeMs?: number;
  /** Events a client may have missed before it gets `sse.reset` (`limit`) instead, 0–1,000,000. @default 1000 */
  maxReplayEvents?: number;
  /** The same in bytes of their JSON (characters, where they come from memory), 0–1,073,741,824. @default 4194304 */
  maxReplayBytes?: number;
}

/**
 * How much one process takes on. What is beyond it is answered so that an `EventSource` comes back in about 10 s: 200, the
 * time, and the end. All fields are optional.
 */
export interface SseLimits {
  /** Open streams, 1–10,000,000. @default 20000 */
  connections?: number;
  /**
   * Open `@SseChannel` streams of one client address, 1–10,000,000. Behind a proxy, Express has to be told (`trust proxy`),
   * and Fastify (`trustProxy`), whom to ask for it: else all clients have the proxy's. So have all that come through a Unix socket.
   * IPv6 addresses count by their /64.
   *
   * @default no bound
   */
  connectionsPerAddress?: number;
  /** Open streams of one user, where it is known, 1–10,000,000. @default 100 */
  connectionsPerUser?: number;
  /** Channels with streams, 1–10,000,000. @default 50000 */
  channels?: number;
  /** Different channels of the `@SseChannel` streams of one client address, 1–10,000,000. @default half of `channels` */
  channelsPerAddress?: number;
  /**
   * Open `@SseChannel` streams of one HTTP/2 session and address, 1–10,000,000: of all tabs of a browser, or of all clients for
   * which a proxy uses it. @default 100
   */
  connectionsPerSession?: number;
  /**
   * Channels of streams that begin with a Last-Event-ID, a second, 1–10,000,000: each may cost readings of Redis. Five seconds’
   * worth of them may come at once, as after the end of a node. @default 2000
   */
  resumesPerSecond?: number;
}

/** What says where Redis is. */
export type RedisSource = string | RedisOptions | RedisClusterOptions | RedisClient;

/** How the module is configured. All fields are optional. */
export interface SseModuleOptions {
  /**
   * Where events go through: a `redis://` or `rediss://` URL, the path of a Unix socket (`/run/redis.sock`, or with a database
   * `unix:///run/redis.sock?db=2`), ioredis options (also for Sentinel, or with the `nodes` of a cluster), or an ioredis
   * instance of yours (`Redis` or `Cluster`). An instance tells where to connect, and is never used, subscribed on or closed;
   * its `keyPrefix` goes in front of `prefix`. Without it events stay in this process. The log says at start which it is.
   *
   * @default none: in memory
   */
  redis?: RedisSource;
  /**
   * Whether the application does not start without Redis: where it is out of reach for 5 s, is older than 6.2 (7.0 with sharded Pub/Sub) or a read-only
   * replica, or `redis` is not given. Else the application starts, streams open, publishing fails, and all is well when Redis comes.
   *
   * @default false
   */
  requireRedis?: boolean;
  /**
   * Starts every Redis key and pub/sub channel of the module. Applications that share a Redis need one each;
   * `''` makes channels the plain names that Invenio-SSE and Flask-SSE use.
   *
   * @default 'sse:'
   */
  prefix?: string;
  /** Bound on an event's data, in bytes of UTF-8 as sent: 1–1,048,576. @default 262144 */
  maxPayloadBytes?: number;
  /**
   * How much of each channel is kept, for clients that come back: at least the last `maxEvents`, for at least
   * `maxAgeMs`. In Redis it belongs to the channel: what is set here is stored beside the events and holds for all
   * publishers that set nothing, such as the command line. `false` keeps nothing: events have no ids of the broker's,
   * and who was away is not told.
   *
   * @default as the channel has it, else 1,000 events and 10 minutes
   */
  history?: false | SseHistoryOptions;
  /**
   * Time between two keep-alive comments on an `@SseChannel` stream, in ms, 1,000–3,600,000. Keep it below the
   * idle time-out of every proxy in front (often 60 s).
   *
   * @default 15000
   */
  heartbeatMs?: number;
  /**
   * After how long a client of an `@SseChannel` stream comes back when its connection ends, in ms, 100–3,600,000. Each
   * is told another time, from half of it to half as much again, so that they do not all come back at once.
   *
   * @default 3000
   */
  retryMs?: number;
  /**
   * After how long at most an authorizer is asked again about an open stream, in ms, 1,000–86,400,000. Streams take
   * turns: each is asked about after half of it or more.
   *
   * @default 300000
   */
  revalidateMs?: number;
  /**
   * After how long an `@SseChannel` stream is ended, so that its client comes back, to whichever node has room, in ms,
   * 1,000–604,800,000 (a week); by a fifth more or less, so that they do not all come back at once. They miss nothing.
   *
   * @default 1800000; with `history: false` no bound, as they would miss what comes meanwhile
   */
  maxConnectionAgeMs?: number | false;
  /**
   * Over how long the ends of the streams are spread when the application is told to end by a signal
   * (`app.enableShutdownHooks()`), in ms, 0–600,000. Meanwhile it serves requests, and begins no streams. It does not wait
   * where there are none.
   *
   * @default 5000 with `NODE_ENV=production`, else 0: nothing takes the clients over while a developer waits for the restart
   */
  drainMs?: number;
  /** Where figures go, besides `SseService.stats()`: such as `PrometheusMetrics`. @default nowhere */
  metrics?: SseMetrics;
  /** How much one process takes on. */
  limits?: SseLimits;
  /**
   * Origins besides the application's own, such as `https://app.example.com` or `capacitor://localhost`, whose pages may read
   * `@SseChannel` streams and guarded `@Sse` ones, also with cookies. They are compared exactly, and get the CORS headers that this
   * takes. Pages of all other origins are refused with 403 if their requests carry credentials that browsers add by themselves:
   * cookies, HTTP authentication, client certificates.
   *
   * @default []
   */
  origins?: readonly string[];
}

/** Implemented by a class given to `SseModule.forRootAsync({ useClass })` or `useExisting`. */
export interface SseOptionsFactory {
  createSseOptions(): Promise<SseModuleOptions | string> | SseModuleOptions | string;
}

/** History options with every default applied. */
export interface History extends Required<SseHistoryOptions> {
  /** Whether how much is kept was set: only then it is stored with the channel. */
  readonly explicit: boolean;
}

/** The options with every default applied. */
export type ResolvedOptions = Required<Omit<SseModuleOptions, 'redis' | 'history' | 'limits'>> &
  Pick<SseModuleOptions, 'redis'> & { history: History | false; limits: Required<SseLimits> };

/** The provider that holds them. */
export const RESOLVED_OPTIONS = Symbol('SSE_RESOLVED_OPTIONS');

export const DEFAULTS = Object.freeze({
  prefix: 'sse:',
  maxPayloadBytes: 262_144,
  heartbeatMs: 15_000,
  retryMs: 3_000,
  revalidateMs: 300_000,
  requireRedis: false,
  maxConnectionAgeMs: 1_800_000,
  drainMs: 5_000,
  metrics: NO_METRICS,
  origins: [] as readonly string[],
});

/** The same for `history`. What is kept is in `publish.lua`, too, for publishers in other languages. */
export const HISTORY_DEFAULTS: Readonly<History> = Object.freeze({
  maxEvents: 1_000,
  maxAgeMs: 600_000,
  maxReplayEvents: 1_000,
  maxReplayBytes: 4_194_304,
  explicit: false,
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

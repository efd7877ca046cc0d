import type { RedisOptions } from 'ioredis';
import { SseError, show } from './sse.errors.js';

/** An ioredis instance of yours, as far as the module knows it: versions 5 and 6, from whatever copy of ioredis. */
export interface RedisClient {
  duplicate(...args: never[]): unknown;
  subscribe(...args: never[]): unknown;
  readonly status: string;
}

/** How much of a channel is kept, and how much of it one client gets when it comes back. All fields are optional. */
export interface SseHistoryOptions {
  /** Events kept per channel at least, 1–1,000,000; up to 100 more, as Redis frees them in blocks. @default 1000 */
  maxEvents?: number;
  /** Time for which events are kept at least, in ms, 1,000–604,800,000 (a week). @default 600000 */
  maxAgeMs?: number;
  /** Events a client may have missed before it gets `sse.reset` (`limit`) instead, 0–1,000,000. @default 1000 */
  maxReplayEvents?: number;
  /** The same in characters of their JSON, 0–1,073,741,824. @default 4194304 */
  maxReplayBytes?: number;
}

/** How the module is configured. All fields are optional. */
export interface SseModuleOptions {
  /**
   * Where events go through: a `redis://` or `rediss://` URL, ioredis options, or an ioredis instance of yours.
   * An instance is duplicated for the module's own connections, never used, subscribed on or closed; its
   * `keyPrefix` goes in front of `prefix`. Without it events stay in this process.
   *
   * @default none: in memory
   */
  redis?: string | RedisOptions | RedisClient;
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
export type ResolvedOptions = Required<Omit<SseModuleOptions, 'redis' | 'history'>> &
  Pick<SseModuleOptions, 'redis'> & { history: History | false };

/** The provider that holds them. */
export const RESOLVED_OPTIONS = Symbol('SSE_RESOLVED_OPTIONS');

export const DEFAULTS = Object.freeze({
  prefix: 'sse:',
  maxPayloadBytes: 262_144,
  heartbeatMs: 15_000,
  retryMs: 3_000,
});

/** The same for `history`. What is kept is in `publish.lua`, too, for publishers in other languages. */
export const HISTORY_DEFAULTS: Readonly<History> = Object.freeze({
  maxEvents: 1_000,
  maxAgeMs: 600_000,
  maxReplayEvents: 1_000,
  maxReplayBytes: 4_194_304,
  explicit: false,
});

const HISTORY_BOUNDS: Record<keyof SseHistoryOptions, [min: number, max: number]> = {
  maxEvents: [1, 1_000_000],
  maxAgeMs: [1_000, 604_800_000],
  maxReplayEvents: [0, 1_000_000],
  maxReplayBytes: [0, 1_073_741_824],
};

/**
 * Applies the defaults and checks every option.
 *
 * @throws SseError `SSE_OPTIONS`, naming the option, what is expected, and what was given
 */
export function resolveOptions(given: SseModuleOptions | string): ResolvedOptions {
  const options: SseModuleOptions = typeof given === 'string' ? { redis: given } : given;
  if (typeof options !== 'object' || options === null) {
    throw optionError('options', 'an object or a Redis URL', show(given));
  }
  checkNames('', options, ['redis', 'history', ...Object.keys(DEFAULTS)]);
  const { history, ...defined } = definedOf(options);
  const resolved: ResolvedOptions = { ...DEFAULTS, ...defined, history: resolveHistory(history) };
  checkRedis(resolved.redis);
  // oxlint-disable-next-line no-control-regex -- controls are what it looks for
  if (typeof resolved.prefix !== 'string' || !/^[^\u0000-\u0020{}]{0,100}$/.test(resolved.prefix)) {
    throw optionError('prefix', 'at most 100 characters without spaces and braces', show(resolved.prefix));
  }
  checkWhole('maxPayloadBytes', resolved.maxPayloadBytes, [1, 1_048_576]);
  checkWhole('heartbeatMs', resolved.heartbeatMs, [1_000, 3_600_000]);
  checkWhole('retryMs', resolved.retryMs, [100, 3_600_000]);
  return resolved;
}

function resolveHistory(history: SseModuleOptions['history'] = {}): History | false {
  if (history === false) return false;
  if (typeof history !== 'object' || history === null || Array.isArray(history)) {
    throw optionError('history', 'an object, or false', show(history));
  }
  checkNames('history.', history, Object.keys(HISTORY_BOUNDS));
  const given = definedOf(history);
  for (const [name, value] of Object.entries(given)) {
    checkWhole(`history.${name}`, value, HISTORY_BOUNDS[name as keyof SseHistoryOptions]);
  }
  return { ...HISTORY_DEFAULTS, ...given, explicit: 'maxEvents' in given || 'maxAgeMs' in given };
}

function checkNames(path: string, options: object, known: string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw optionError(path + name, `one of the options ${known.join(', ')}`, 'that name');
  }
}

function definedOf<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** Whether the value is an ioredis instance, told by its shape. */
export function isRedisClient(value: unknown): value is RedisClient {
  const client = value as Partial<RedisClient> | null | undefined;
  return typeof client?.duplicate === 'function' && typeof client.subscribe === 'function';
}

function checkRedis(redis: unknown): void {
  if (redis === undefined) return;
  if (isRedisClient(redis)) {
    if ('isCluster' in redis && redis.isCluster === true) {
      throw optionError('redis', 'one server or Sentinel (Redis Cluster is not supported yet)', 'a Cluster');
    }
  } else if (typeof redis === 'string') {
    if (!isRedisUrl(redis)) {
      throw optionError('redis', 'a URL such as redis://localhost:6379/0', show(withoutPassword(redis)));
    }
  } else if (typeof redis !== 'object' || redis === null || Array.isArray(redis)) {
    throw optionError('redis', 'a URL, ioredis options or an ioredis instance', show(redis));
  }
}

function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return /^rediss?:$/.test(protocol) && hostname !== '' && /^(\/\d*)?$/.test(pathname);
}

function withoutPassword(url: string): string {
  return url.replace(/.*@/, '***@').replaceAll(/(password=)[^&]*/gi, '$1***');
}

function checkWhole(name: string, value: unknown, [min, max]: [number, number]): void {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw optionError(name, `a whole number from ${min} to ${max}`, show(value));
  }
}

function optionError(name: string, expected: string, got: string): SseError {
  return new SseError('SSE_OPTIONS', `SseModule: expected \`${name}\` to be ${expected}, got ${got}`);
}

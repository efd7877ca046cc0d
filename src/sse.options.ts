import type { RedisOptions } from 'ioredis';
import { SseError, show } from './sse.errors.js';

/** An ioredis instance of yours, as far as the module knows it: versions 5 and 6, from whatever copy of ioredis. */
export interface RedisClient {
  duplicate(...args: never[]): unknown;
  subscribe(...args: never[]): unknown;
  readonly status: string;
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
   * Time between two keep-alive comments on an `@SseChannel` stream, in ms, 1,000–3,600,000. Keep it below the
   * idle time-out of every proxy in front (often 60 s).
   *
   * @default 15000
   */
  heartbeatMs?: number;
}

/** Implemented by a class given to `SseModule.forRootAsync({ useClass })` or `useExisting`. */
export interface SseOptionsFactory {
  createSseOptions(): Promise<SseModuleOptions | string> | SseModuleOptions | string;
}

/** The options with every default applied. */
export type ResolvedOptions = Required<Omit<SseModuleOptions, 'redis'>> & Pick<SseModuleOptions, 'redis'>;

/** The provider that holds them. */
export const RESOLVED_OPTIONS = Symbol('SSE_RESOLVED_OPTIONS');

export const DEFAULTS = Object.freeze({ prefix: 'sse:', maxPayloadBytes: 262_144, heartbeatMs: 15_000 });

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
  const known = new Set(['redis', ...Object.keys(DEFAULTS)]);
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw optionError(name, `one of the options ${[...known].join(', ')}`, 'that name');
  }
  const defined = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedOptions = { ...DEFAULTS, ...defined };
  checkRedis(resolved.redis);
  // oxlint-disable-next-line no-control-regex -- controls are what it looks for
  if (typeof resolved.prefix !== 'string' || !/^[^\u0000-\u0020{}]{0,100}$/.test(resolved.prefix)) {
    throw optionError('prefix', 'at most 100 characters without spaces and braces', show(resolved.prefix));
  }
  checkWhole('maxPayloadBytes', resolved.maxPayloadBytes, [1, 1_048_576]);
  checkWhole('heartbeatMs', resolved.heartbeatMs, [1_000, 3_600_000]);
  return resolved;
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

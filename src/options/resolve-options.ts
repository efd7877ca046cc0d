import { resolveRedis } from './redis-source.js';
import { fieldsOf, isOptions } from '../common/objects.js';
import { checkNames, optionError, show } from '../common/sse.errors.js';
import type { SseMetrics } from './sse.metrics.js';
import {
  COMPRESSION_DEFAULTS,
  DEFAULTS,
  type History,
  HISTORY_DEFAULTS,
  LIMIT_DEFAULTS,
  type ResolvedOptions,
  type SseHistoryOptions,
  type SseLimits,
  type SseModuleOptions,
} from './sse.options.js';

const HISTORY_BOUNDS: Record<keyof SseHistoryOptions, [min: number, max: number]> = {
  maxEvents: [1, 1_000_000],
  maxAgeMs: [1_000, 604_800_000],
  maxReplayEvents: [0, 1_000_000],
  maxReplayBytes: [0, 1_073_741_824],
};

const OPTIONS = ['redis', 'history', ...Object.keys(DEFAULTS), 'limits', 'compression'];

/**
 * The options as fields, without a check of their names and values.
 *
 * @throws SseError `SSE_OPTIONS` for what is neither options nor a Redis URL
 */
export function readOptions(given: unknown): Record<string, unknown> {
  if (typeof given === 'string') return { redis: given };
  if (!isOptions(given, OPTIONS)) throw optionError('options', 'an object or a Redis URL', show(given));
  return fieldsOf(given, OPTIONS);
}

/**
 * Applies the defaults and checks every option.
 *
 * @throws SseError `SSE_OPTIONS`, naming the option, what is expected, and what was given
 */
export function resolveOptions(given: SseModuleOptions | string): ResolvedOptions {
  const options: SseModuleOptions = readOptions(given);
  checkNames('', options, OPTIONS);
  const { history, limits, redis, compression, ...defined } = definedOf(options);
  const resolved: ResolvedOptions = {
    ...DEFAULTS,
    // Outside production no other node takes the clients over, and the developer waits for the restart.
    ...(process.env.NODE_ENV !== 'production' && { drainMs: 0 }),
    ...(history === false && { maxConnectionAgeMs: false }),
    ...defined,
    redis: redis === undefined ? undefined : resolveRedis(redis),
    history: resolveHistory(history),
    limits: resolveLimits(limits),
    compression: resolveCompression(compression),
  };
  // oxlint-disable-next-line no-control-regex -- controls are what it looks for
  if (typeof resolved.prefix !== 'string' || !/^[^\u0000-\u0020{}]{0,100}$/.test(resolved.prefix)) {
    throw optionError('prefix', 'at most 100 characters without spaces and braces', show(resolved.prefix));
  }
  checkWhole('maxPayloadBytes', resolved.maxPayloadBytes, [1, 1_048_576]);
  checkWhole('heartbeatMs', resolved.heartbeatMs, [1_000, 3_600_000]);
  checkOrigins(resolved.origins);
  checkWhole('retryMs', resolved.retryMs, [100, 3_600_000]);
  checkWriteInterval(resolved.writeIntervalMs);
  checkWhole('revalidateMs', resolved.revalidateMs, [1_000, 86_400_000]);
  checkWhole('drainMs', resolved.drainMs, [0, 600_000]);
  if (resolved.maxConnectionAgeMs !== false) {
    checkWhole('maxConnectionAgeMs', resolved.maxConnectionAgeMs, [1_000, 604_800_000]);
  }
  if (typeof resolved.requireRedis !== 'boolean') {
    throw optionError('requireRedis', 'true or false', show(resolved.requireRedis));
  }
  if (resolved.requireRedis && resolved.redis === undefined) {
    throw optionError('redis', 'where Redis is, as `requireRedis` is true', 'nothing');
  }
  checkMetrics(resolved.metrics);
  return resolved;
}

function resolveHistory(history: SseModuleOptions['history'] = {}): History | false {
  if (history === false) return false;
  const known = Object.keys(HISTORY_BOUNDS);
  if (!isOptions(history, known)) throw optionError('history', 'an object, or false', show(history));
  const fields = fieldsOf(history, known);
  checkNames('history.', fields, known);
  const given: SseHistoryOptions = definedOf(fields);
  for (const [name, value] of Object.entries(given)) {
    checkWhole(`history.${name}`, value, HISTORY_BOUNDS[name as keyof SseHistoryOptions]);
  }
  return { ...HISTORY_DEFAULTS, ...given, explicit: 'maxEvents' in given || 'maxAgeMs' in given };
}

function resolveCompression(given: unknown = false): ResolvedOptions['compression'] {
  if (typeof given === 'boolean') return given && COMPRESSION_DEFAULTS;
  const known = Object.keys(COMPRESSION_DEFAULTS);
  if (!isOptions(given, known)) throw optionError('compression', 'true, false, or { minBytes }', show(given));
  const fields = fieldsOf(given, known);
  checkNames('compression.', fields, known);
  const resolved = { ...COMPRESSION_DEFAULTS, ...definedOf(fields) };
  checkWhole('compression.minBytes', resolved.minBytes, [0, 1_048_576]);
  return resolved;
}

function checkMetrics(metrics: unknown): void {
  const { start, publication } = (metrics ?? {}) as Partial<SseMetrics>;
  if (typeof start !== 'function' || typeof publication !== 'function') {
    throw optionError('metrics', 'an object with start() and publication()', show(metrics));
  }
}

function checkOrigins(origins: unknown): void {
  const wrong: unknown = Array.isArray(origins) ? origins.find((text) => !isOrigin(text)) : origins;
  if (Array.isArray(origins) && wrong === undefined && !origins.includes(undefined)) return;
  const way =
    typeof wrong === 'string' && wrong.includes('*') ? '; there are no wildcards, so name each origin' : '';
  throw optionError('origins', 'a list of origins such as https://app.example.com', show(wrong) + way);
}

/** Whether it is an origin as browsers send it, also with the scheme of an app, such as `capacitor://localhost`. */
function isOrigin(text: unknown): boolean {
  if (typeof text !== 'string' || text.includes('*') || !URL.canParse(text)) return false;
  const { protocol, host, origin } = new URL(text);
  if (origin !== 'null') return origin === text;
  // Node gives other schemes no origin. Browsers send scheme and host, except for files.
  return protocol !== 'file:' && host !== '' && text === `${protocol}//${host}`;
}

function resolveLimits(limits: SseLimits = {}): Required<SseLimits> {
  const known = Object.keys(LIMIT_DEFAULTS);
  if (!isOptions(limits, known)) throw optionError('limits', 'an object', show(limits));
  const fields = fieldsOf(limits, known);
  checkNames('limits.', fields, known);
  const given: SseLimits = definedOf(fields);
  for (const [name, value] of Object.entries(given)) {
    checkWhole(`limits.${name}`, value, [1, 10_000_000]);
  }
  const resolved = { ...LIMIT_DEFAULTS, ...given };
  // One client must not use up all channels.
  const { channelsPerAddress = Math.ceil(resolved.channels / 2) } = given;
  return { ...resolved, channelsPerAddress };
}

function definedOf<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** @throws SseError `SSE_OPTIONS` for anything but a time between two writes */
export function checkWriteInterval(ms: unknown): void {
  checkWhole('writeIntervalMs', ms, [0, 1_000]);
}

function checkWhole(name: string, value: unknown, [min, max]: [number, number]): void {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw optionError(name, `a whole number from ${min} to ${max}`, show(value));
  }
}

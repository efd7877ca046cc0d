import { checkKeys, inputError, SseError } from '../common/sse.errors.js';

/** How a stream starts, and its bounds. All fields are optional. */
export interface SseStreamOptions {
  /** Ends a live stream with the same id as `aborted`, reason `replaced`, and starts this one. @default false */
  replace?: boolean;
  /** Time between two packs of events, in ms, 0–1,000. The first event after a pause leaves at once. @default 25 */
  flushMs?: number;
  /** How long after the producer's last sign of life the stream is lost, in ms, 1,000–600,000. Its node renews the lease. @default 15000 */
  leaseMs?: number;
  /** For how long the stream can be read after its end, in ms, 1,000–604,800,000 (a week). @default 600000 */
  keepMs?: number;
  /** Maximum size of all events, in bytes of their JSON, 1–1,073,741,824. Beyond it, the stream ends: `error`, reason `maxBytes`. @default 16777216 */
  maxBytes?: number;
  /** Maximum duration, in ms, 1–604,800,000. After it, the stream ends: `error`, reason `maxMs`. @default none */
  maxMs?: number;
  /** With `abort`, the stream stops when it has had no reader for about two leases: `aborted`, reason `disconnect`. @default 'continue' */
  onDisconnect?: 'continue' | 'abort';
}

/** The options of `SseStreams.start()`. All fields are optional. */
export interface SseStreamStartOptions extends SseStreamOptions {
  /** Attaches to a live stream with the same id, instead of the error `SSE_STREAM_LIVE`. Not with `replace`. @default false */
  attach?: boolean;
}

export type ResolvedStreamOptions = Required<Omit<SseStreamStartOptions, 'maxMs'>> &
  Pick<SseStreamOptions, 'maxMs'>;

const WEEK_MS = 604_800_000;
const BOUNDS = {
  flushMs: [0, 1_000],
  leaseMs: [1_000, 600_000],
  keepMs: [1_000, WEEK_MS],
  maxBytes: [1, 1_073_741_824],
  maxMs: [1, WEEK_MS],
} as const;

const DEFAULTS = Object.freeze({
  replace: false,
  attach: false,
  flushMs: 25,
  leaseMs: 15_000,
  keepMs: 600_000,
  maxBytes: 16_777_216,
  onDisconnect: 'continue' as const,
});

/** @throws SseError `SSE_INPUT` */
export function resolveStreamOptions(options: SseStreamStartOptions): ResolvedStreamOptions {
  checkKeys('SSE_INPUT', 'options', options, [...Object.keys(DEFAULTS), 'maxMs']);
  const given = Object.entries(options).filter(([name, value]) => value !== undefined || name === 'maxMs');
  const resolved: ResolvedStreamOptions = { ...DEFAULTS, ...Object.fromEntries(given) };
  for (const [name, [min, max]] of Object.entries(BOUNDS)) {
    const value: unknown = resolved[name as keyof typeof BOUNDS];
    // An undefined `maxMs` is a mistake that would let the stream go on without end.
    if (name === 'maxMs' && !('maxMs' in options)) continue;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) continue;
    throw inputError(name, `a whole number from ${min} to ${max}`, value);
  }
  for (const name of ['replace', 'attach'] as const) {
    if (typeof resolved[name] !== 'boolean') throw inputError(name, 'true or false', resolved[name]);
  }
  if (resolved.replace && resolved.attach) {
    throw new SseError('SSE_INPUT', 'Expected either `replace` or `attach`, got both');
  }
  if (!['continue', 'abort'].includes(resolved.onDisconnect)) {
    throw inputError('onDisconnect', "'continue' or 'abort'", resolved.onDisconnect);
  }
  return resolved;
}

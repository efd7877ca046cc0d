import { fieldsOf, isOptions, tagOf } from '../../common/objects.js';
import { inputError, SseError } from '../../common/sse.errors.js';

/** An event as `collect()` returns it. */
export interface CollectedEvent<T = unknown> {
  /** The last event id of the connection, for resuming; '' if there is none. */
  readonly id: string;
  /** The event's type; `message` if it has none. */
  readonly type: string;
  /** The parsed data if it is JSON, otherwise the text: the published data, except for a text that is JSON itself. */
  readonly data: T;
}

/** When `collect()` ends, and how it connects. A key that is present must have a value. */
export interface CollectOptions<T = unknown> {
  /** Ends after this many events: a whole number, 1 and more. */
  count?: number;
  /** Ends with the event for which it returns true. */
  until?: (event: CollectedEvent<T>) => boolean;
  /** The id to resume from, sent as `Last-Event-ID`: not empty. */
  lastEventId?: string;
  /** Headers of the request, such as `authorization`. */
  headers?: Readonly<Record<string, string>> | Headers;
  /**
   * How long the connection may last, in ms, 1–600,000. With the default, `collect()` rejects, and shows the received events, before
   * the test time limit of Jest and Vitest (5 s).
   *
   * @default 4000
   */
  timeoutMs?: number;
  /**
   * Called when the response headers have arrived: with `@SseChannel`, every event that is published from then on arrives. Its
   * exceptions reject `collect()`, which also waits for its promise.
   */
  whenOpen?: () => unknown;
}

/** Options that passed every check. */
export interface CheckedOptions<T = unknown> extends CollectOptions<T> {
  headers: Readonly<Record<string, string>>;
}

const MAX_TIMEOUT_MS = 600_000;

type Checks = {
  [Key in keyof Required<CollectOptions>]: [expected: string, isRight: (value: unknown) => boolean];
};

const isFunction = (value: unknown) => typeof value === 'function';
const isWhole = (value: unknown, max: number) =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
const isHeaders = (value: unknown): value is Headers => tagOf(value) === 'Headers';

const CHECKS: Checks = {
  count: ['a whole number, 1 and more', (value) => isWhole(value, Number.MAX_SAFE_INTEGER)],
  until: ['a function', isFunction],
  lastEventId: [
    'an event id: a text without line breaks, not empty',
    (value) => typeof value === 'string' && /^[^\0\r\n]+$/.test(value),
  ],
  headers: ['an object or a Headers', (value) => isHeaders(value) || isOptions(value, [])],
  timeoutMs: [
    `a whole number of milliseconds, 1–${MAX_TIMEOUT_MS}`,
    (value) => isWhole(value, MAX_TIMEOUT_MS),
  ],
  whenOpen: ['a function', isFunction],
};

/** @throws SseError `SSE_INPUT` */
export function checkPath(path: unknown): void {
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw inputError('path', 'a path such as /orders/7/events', path);
  }
}

/**
 * Checks the arguments of `collect()`. An undefined key is an error: it would mean another collection.
 *
 * @returns the options as fields, the headers, too
 * @throws SseError `SSE_INPUT`
 */
export function checkCollectOptions<T>(options: unknown): CheckedOptions<T> {
  const known = Object.keys(CHECKS);
  if (!isOptions(options, known)) throw inputError('options', 'an object', options);
  const fields: CollectOptions<T> = fieldsOf(options, known);
  for (const [key, value] of Object.entries(fields)) {
    if (!Object.hasOwn(CHECKS, key)) {
      throw new SseError('SSE_INPUT', `Expected one of the options ${known.join(', ')}, got \`${key}\``);
    }
    const [expected, isRight] = CHECKS[key as keyof Checks];
    if (!isRight(value)) throw inputError(key, expected, value);
  }
  const { headers: given = {} } = fields;
  const headers = isHeaders(given) ? Object.fromEntries(given) : fieldsOf(given, []);
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string') throw inputError(`headers.${name}`, 'a text', value);
  }
  return { ...fields, headers: headers as Record<string, string> };
}

import { fieldsOf, isOptions, tagOf } from '../objects.js';
import { inputError, SseError } from '../sse.errors.js';

/** An event as `collect()` returns it. */
export interface CollectedEvent<T = unknown> {
  /** The last event id of the connection, which a client resumes from; '' where there is none. */
  readonly id: string;
  /** The event's type; `message` where it has none. */
  readonly type: string;
  /** The data parsed where it is JSON, otherwise the text: what was published, but for a text that is JSON itself. */
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
   * How long the connection may last, in ms, 1–600,000. The default lets `collect()` reject, and say what came, before
   * the 5 s are over that Jest and Vitest give a test.
   *
   * @default 4000
   */
  timeoutMs?: number;
  /**
   * Called once the response headers are there: with `@SseChannel`, everything published from then on arrives. What it
   * throws rejects. `collect()` waits until it is done.
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

/** @throws SseError `SSE_INPUT` for a path that is none */
export function checkPath(path: unknown): void {
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw inputError('path', 'a path such as /orders/7/events', path);
  }
}

/**
 * Checks what `collect()` was given. A key without a value is an error: it would mean a longer, or another, collection.
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

import { IntrinsicException } from '@nestjs/common';
import { isOptions, tagOf } from './objects.js';

/**
 * What went wrong, for programs:
 * - `SSE_INPUT`: a channel, event or other argument is not acceptable; nothing was written. HTTP 400.
 * - `SSE_OPTIONS`: the module is configured wrongly; the application does not start.
 * - `SSE_UNAVAILABLE`: the broker did not confirm. HTTP 503, without details for the client.
 */
export type SseErrorCode = 'SSE_INPUT' | 'SSE_OPTIONS' | 'SSE_UNAVAILABLE';

const STATUS: Record<SseErrorCode, number> = { SSE_INPUT: 400, SSE_OPTIONS: 500, SSE_UNAVAILABLE: 503 };

/**
 * The one error class of this package. Its message says what was expected, what was got, and the way out.
 *
 * `status`, `statusCode` and `expose` are what Nest's exception filter honours on an error of any class, so
 * these errors leave a Nest route with the right status although nothing here knows HTTP. Being intrinsic, they
 * are answered but not logged by the filter: a client's bad input is no event for the operator.
 */
export class SseError extends IntrinsicException {
  override readonly name = 'SseError';
  readonly status: number;
  readonly statusCode: number;
  readonly expose: boolean;
  /**
   * Whether the event of a rejected `publish()` may have been published all the same: the command was sent, but
   * its reply was lost. Always false for `SSE_INPUT` and `SSE_OPTIONS`.
   */
  readonly mayBePublished: boolean;

  constructor(
    readonly code: SseErrorCode,
    message: string,
    { cause, mayBePublished = false }: { cause?: unknown; mayBePublished?: boolean } = {},
  ) {
    super(message);
    this.cause = cause;
    this.mayBePublished = mayBePublished;
    this.status = this.statusCode = STATUS[code];
    this.expose = code === 'SSE_INPUT';
  }
}

/** An `SSE_INPUT` error that names the argument, what it must be, and the value that was given. */
export function inputError(name: string, expected: string, value: unknown): SseError {
  return new SseError('SSE_INPUT', `Expected \`${name}\` to be ${expected}, got ${show(value)}`);
}

/** An `SSE_OPTIONS` error that names the option, what it must be, and what was given. */
export function optionError(name: string, expected: string, got: string): SseError {
  return new SseError('SSE_OPTIONS', `SseModule: expected \`${name}\` to be ${expected}, got ${got}`);
}

/** @throws SseError `SSE_OPTIONS` for a field that is none of the known ones, with the path to it */
export function checkNames(path: string, fields: object, known: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (known.includes(name)) continue;
    throw optionError(path + show(name).slice(1, -1), `one of the options ${known.join(', ')}`, 'that name');
  }
}

/**
 * Refuses what is no object of options, such as a promise of one, and keys that are not known: a misspelt key would be taken
 * for one that is left out.
 *
 * @throws SseError of the code
 */
export function checkKeys(
  code: 'SSE_INPUT' | 'SSE_OPTIONS',
  name: string,
  options: object,
  known: readonly string[],
): void {
  if (!isOptions(options, known)) {
    throw new SseError(code, `Expected \`${name}\` to be an object, got ${show(options)}`);
  }
  for (const key in options) {
    if (known.includes(key)) continue;
    const shown = show(key).slice(1, -1);
    throw new SseError(code, `Expected no key \`${shown}\` in \`${name}\`; it takes ${known.join(', ')}`);
  }
}

/** The class of an object, for messages. */
export function nameOf(value: object): string {
  const given: unknown = (Object.getPrototypeOf(value) as object | null)?.constructor?.name;
  // Generators and iterators are of no class that has a name of its own.
  const name = typeof given === 'string' && !/^(Object|Iterator)?$/.test(given) ? given : tagOf(value);
  return /^[\w$ ]{1,80}$/.test(name) ? name : 'Object';
}

/**
 * What has failed in code that gets events: the class of the error and where it was thrown. Its message is left out, as it may
 * quote an event, as that of `JSON.parse()` does.
 */
export function causeOf(error: unknown): string {
  // Of options it speaks, and of no event.
  if (error instanceof SseError && error.code === 'SSE_OPTIONS') return error.message;
  if (!isError(error)) return `${isText(error) ? `a ${typeof error}` : show(error)} was thrown`;
  // The stack begins with the message, which may look like a part of it.
  const stack = String(error.stack).replace(error.message, '');
  const [frame] = /(?<=^ {4}at ).+$/m.exec(stack) ?? [];
  return frame === undefined ? nameOf(error) : `${nameOf(error)} at ${frame}`;
}

/** What was thrown by code that gets no events, in one short printable line, whatever it is. */
export function reasonOf(error: unknown): string {
  if (!isError(error)) return show(error);
  return error.message === '' ? nameOf(error) : show(error.message);
}

/** What a message would show as it is, and may be data. */
const isText = (value: unknown) => ['string', 'number', 'bigint', 'symbol'].includes(typeof value);

const isError = (value: unknown): value is Error =>
  value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';

/** A value as an error message or a log line may carry it: one short printable line, whatever it holds. */
export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) return 'an array';
    const name = nameOf(value);
    return name === 'Object' ? 'an object' : `a ${name}`;
  }
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  const printable = text.replace(
    /[^\x20-\x7e\p{L}\p{N}]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
  return printable.length > 80 ? `${printable.slice(0, 80)}… (${text.length} characters)` : printable;
}

import { IntrinsicException } from '@nestjs/common';
import { isOptions, tagOf } from './objects.js';

/**
 * The kind of error, for programs:
 * - `SSE_INPUT`: a channel, event or other argument is not acceptable; nothing was written. HTTP 400.
 * - `SSE_OPTIONS`: the module is configured wrongly; the application does not start.
 * - `SSE_UNAVAILABLE`: the broker did not confirm. HTTP 503, without details for the client.
 * - `SSE_STREAM_LIVE`: a stream with this id has not ended yet. HTTP 409, without details for the client.
 */
export type SseErrorCode = 'SSE_INPUT' | 'SSE_OPTIONS' | 'SSE_UNAVAILABLE' | 'SSE_STREAM_LIVE';

/** Why data does not fit its schema. */
export interface SseSchemaIssue {
  /** In the words of the schema's library. */
  readonly message: string;
  /** Where in the data. */
  readonly path?: readonly (PropertyKey | SseSchemaPathSegment)[] | undefined;
}

/** A part of a path, as some libraries write it. */
export interface SseSchemaPathSegment {
  /** The name of a field, or the index in a list. */
  readonly key: PropertyKey;
}

/** What has become of an event of `publishAll()`. */
export interface SsePublishOutcome {
  /**
   * - `published`: the broker has confirmed it.
   * - `rejected`: it was not published and will not be. It is safe to publish it again.
   * - `unknown`: it may have been published, but its reply was lost. Without an `idempotencyKey`, publishing it again may publish it twice.
   */
  readonly status: 'published' | 'rejected' | 'unknown';
  /** The public id of a published event; '' for a transient event. */
  readonly id?: string;
  /** Why it is not confirmed. */
  readonly error?: SseError;
}

interface SseErrorDetails {
  readonly cause?: unknown;
  readonly mayBePublished?: boolean;
  readonly issues?: readonly SseSchemaIssue[];
  readonly outcomes?: readonly SsePublishOutcome[];
}

const STATUS: Record<SseErrorCode, number> = {
  SSE_INPUT: 400,
  SSE_OPTIONS: 500,
  SSE_UNAVAILABLE: 503,
  SSE_STREAM_LIVE: 409,
};

/**
 * The error class of this package. Its message says what was expected, the value, and how to fix it.
 *
 * `status`, `statusCode` and `expose` are what Nest's exception filter honours on an error of any class, so
 * these errors leave a Nest route with the right status although this file does not depend on HTTP. As intrinsic exceptions, they
 * are answered but not logged by the filter: bad input of a client is no problem of the application.
 */
export class SseError extends IntrinsicException {
  /** Always `SseError`. */
  override readonly name = 'SseError';
  /** The HTTP status of an answer to a request. */
  readonly status: number;
  /** The same under the name that Fastify reads. */
  readonly statusCode: number;
  /** Whether the client gets the message: for `SSE_INPUT`. */
  readonly expose: boolean;
  /**
   * Whether the event of a rejected `publish()` may have been published nevertheless: the command was sent, but
   * its reply was lost. Of a rejected `publishAll()`, whether any of its events was or may have been published.
   */
  readonly mayBePublished: boolean;
  /**
   * What has become of each event of a rejected `publishAll()`, in the order of the list. Empty for other calls, and where the list was
   * refused before anything was written.
   */
  readonly outcomes: readonly SsePublishOutcome[];
  /** Why data does not fit the schema of a typed channel, as the schema reports it; otherwise empty. */
  readonly issues: readonly SseSchemaIssue[];

  /** @param code the kind of error, for programs */
  constructor(
    readonly code: SseErrorCode,
    message: string,
    { cause, mayBePublished = false, issues = [], outcomes = [] }: SseErrorDetails = {},
  ) {
    super(message);
    this.cause = cause;
    this.mayBePublished = mayBePublished;
    this.issues = issues;
    this.outcomes = outcomes;
    this.status = this.statusCode = STATUS[code];
    this.expose = code === 'SSE_INPUT';
  }
}

/** An `SSE_INPUT` error that names the argument, the expected values, and the given one. */
export function inputError(name: string, expected: string, value: unknown): SseError {
  return new SseError('SSE_INPUT', `Expected \`${name}\` to be ${expected}, got ${show(value)}`);
}

/** The same error about a part of an argument. Messages name the argument first. */
export function errorAt(path: string, error: unknown): unknown {
  if (!(error instanceof SseError)) return error;
  return new SseError(error.code, error.message.replace('`', `\`${path}.`), error);
}

/** An `SSE_OPTIONS` error that names the option, the expected values, and the given one. */
export function optionError(name: string, expected: string, got: string): SseError {
  return new SseError('SSE_OPTIONS', `SseModule: expected \`${name}\` to be ${expected}, got ${got}`);
}

/** @throws SseError `SSE_OPTIONS` for an unknown field, with the path to it */
export function checkNames(path: string, fields: object, known: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (known.includes(name)) continue;
    throw optionError(path + show(name).slice(1, -1), `one of the options ${known.join(', ')}`, 'that name');
  }
}

/**
 * Refuses anything but an object of options, such as a promise of one, and unknown keys: a misspelt key would
 * count as left out.
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
 * Describes an error of code that gets events: its class and the line that threw it, without its message, which may
 * quote an event, as that of `JSON.parse()` does.
 */
export function causeOf(error: unknown): string {
  // Messages about options quote no event.
  if (error instanceof SseError && error.code === 'SSE_OPTIONS') return error.message;
  if (!isError(error)) return `${isText(error) ? `a ${typeof error}` : show(error)} was thrown`;
  // The stack begins with the message, which may look like a part of it.
  const stack = String(error.stack).replace(error.message, '');
  const [frame] = /(?<=^ {4}at ).+$/m.exec(stack) ?? [];
  return frame === undefined ? nameOf(error) : `${nameOf(error)} at ${frame}`;
}

/** Describes an error of code that gets no events, in one short printable line. */
export function reasonOf(error: unknown): string {
  if (!isError(error)) return show(error);
  return error.message === '' ? nameOf(error) : show(error.message);
}

/** Whether a log line would show the value itself, which may be data. */
const isText = (value: unknown) => ['string', 'number', 'bigint', 'symbol'].includes(typeof value);

const isError = (value: unknown): value is Error =>
  value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';

/** Describes a value for an error message or a log line: one short printable line, whatever it contains. */
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

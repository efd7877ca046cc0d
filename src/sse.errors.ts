import { IntrinsicException } from '@nestjs/common';

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

/** A value as an error message or a log line may carry it: one short printable line, whatever it holds. */
export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  const printable = text.replace(
    /[^\x20-\x7e\p{L}\p{N}]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
  return printable.length > 80 ? `${printable.slice(0, 80)}… (${text.length} characters)` : printable;
}

import type { SseStreamEnd } from '../broker/streams.js';
import type { FailureLog } from '../common/failure-log.js';
import { checkKeys, inputError, reasonOf, SseError } from '../common/sse.errors.js';
import { serialise } from '../event/data.js';
import { checkType } from '../event/event.js';
import { encodeStreamEvent } from '../event/message.js';
import type { OwnedStream } from './owned-stream.js';
import { asReason } from './reason.js';

/** What `pipe()` takes. */
export type SseStreamSource<T = unknown> = AsyncIterable<T> | Iterable<T> | ReadableStream<T>;

/** How an event of a stream is written. All fields are optional. */
export interface SseStreamWriteOptions {
  /** Event name for `addEventListener`; without one the event goes to `onmessage`. 1–128 characters. */
  type?: string;
}

/**
 * Writes the events of a stream, in one process.
 *
 * Events are stored and sent in the order of the calls, each once. The first event after a pause leaves at once, later ones in packs of
 * 25 ms, 64 events or 128 KiB. An outage of Redis delays them; one that is longer than the lease ends the stream as `lost`.
 */
export class SseStreamWriter {
  /** @internal */
  constructor(
    private readonly stream: OwnedStream,
    private readonly maxPayloadBytes: number,
    private readonly failures: FailureLog,
  ) {}

  /** The id of the stream. */
  get id(): string {
    return this.stream.id;
  }

  /** Aborted when the stream is stopped, replaced, or lost, or reaches a bound: pass it to what produces the events. */
  get signal(): AbortSignal {
    return this.stream.signal;
  }

  /** Resolves with the end of the stream, when it is stored. */
  get done(): Promise<SseStreamEnd> {
    return this.stream.done;
  }

  /** Resolves when at most 1 MiB of JSON is unsent. */
  get ready(): Promise<void> {
    return this.stream.ready;
  }

  /**
   * Writes an event, without waiting for Redis.
   *
   * @param data as for `SseService.publish()`
   * @returns whether the producer may go on: false above 1 MiB unsent (the event is written; await `ready`), and when the stream has
   *   ended, so that the event is dropped
   * @throws SseError `SSE_INPUT` for data that JSON cannot write, or a wrong type
   */
  write(data: unknown, options: SseStreamWriteOptions = {}): boolean {
    checkKeys('SSE_INPUT', 'options', options, ['type']);
    const { type } = options;
    if ('type' in options) checkType(type);
    const event = encodeStreamEvent(serialise(data, this.maxPayloadBytes), type);
    const { stream } = this;
    if (stream.hasEnded) this.#complain();
    stream.write(event);
    return !stream.isFull && !stream.hasEnded;
  }

  /**
   * Writes all values of a source, and waits above 1 MiB unsent. It returns early when the stream ends, and then cancels the source.
   *
   * @throws what the source throws, and as `write()`
   */
  async pipe(source: SseStreamSource, options: SseStreamWriteOptions = {}): Promise<void> {
    const iterator = iteratorOf(source);
    // One promise for all steps would keep every value until the end.
    let stop = () => {};
    const onAbort = () => stop();
    this.signal.addEventListener('abort', onAbort);
    const step = () =>
      new Promise<IteratorResult<unknown> | undefined>((resolve, reject) => {
        stop = () => resolve(undefined);
        Promise.resolve(iterator.next()).then(resolve, reject);
      });
    let isDone = false;
    try {
      while (!this.stream.hasEnded) {
        const next = await step();
        if (!next) break;
        isDone = next.done === true;
        if (isDone) return;
        this.write(next.value, options);
        if (this.stream.isFull) await this.ready;
      }
    } catch (error) {
      isDone = isDone || !(error instanceof SseError);
      throw error;
    } finally {
      this.signal.removeEventListener('abort', onAbort);
      // A source that waits for its next value may never answer.
      if (!isDone) Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }

  /** Ends the stream as `done`. @returns its end, when that is stored: another one if it had ended before */
  end(): Promise<SseStreamEnd> {
    return this.stream.finish({ status: 'done' });
  }

  /**
   * Ends the stream as `error`.
   *
   * @param error a text, or the message of an HTTP exception of Nest, is the reason that clients see, up to 200 characters. Any other error is
   *   logged, and clients see `failed`
   * @returns its end, when that is stored: another one if it had ended before
   */
  fail(error: unknown): Promise<SseStreamEnd> {
    const isOver = this.stream.hasEnded;
    const message = messageFor(error);
    if (message) return this.stream.finish({ status: 'error', reason: asReason(message) });
    // A producer that was stopped usually throws.
    if (!isOver)
      this.failures.error('producer', `The producer of stream ${this.id} has failed: ${reasonOf(error)}`);
    return this.stream.finish({ status: 'error', reason: 'failed' });
  }

  /** A write after the producer has ended is a mistake; one after the stream was stopped is a race. */
  #complain(): void {
    if (this.signal.aborted) return;
    const line = `Events of stream ${this.id} are dropped: they are written after its end, perhaps because a promise is not awaited`;
    this.failures.error('late', line);
  }
}

function iteratorOf(source: unknown): AsyncIterator<unknown> | Iterator<unknown> {
  if (typeof source === 'object' && source !== null) {
    const { [Symbol.asyncIterator]: async, [Symbol.iterator]: sync } = source as Partial<
      AsyncIterable<unknown> & Iterable<unknown>
    >;
    // Its own iterator cannot be cancelled while it waits; and that of a polyfill may be missing.
    if (typeof (source as ReadableStream).getReader === 'function') return readerOf(source as ReadableStream);
    if (typeof async === 'function') return async.call(source);
    if (typeof sync === 'function') return sync.call(source);
  }
  throw inputError('source', 'an iterable, an async iterable or a ReadableStream', source);
}

function readerOf(source: ReadableStream): AsyncIterator<unknown> {
  const reader = source.getReader();
  return {
    next: async () => (await reader.read()) as IteratorResult<unknown>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** Whether a value that a producer returns is meant as its events: a list may be the result of `Promise.all()`. */
export function isSource(value: unknown): value is SseStreamSource {
  if (typeof value !== 'object' || value === null) return false;
  return (
    Symbol.asyncIterator in value || 'getReader' in value || ('next' in value && Symbol.iterator in value)
  );
}

/** What an error tells clients: Nest answers with the messages of its HTTP exceptions, and with no others. */
function messageFor(error: unknown): string | undefined {
  if (typeof error === 'string') return error;
  try {
    const { getStatus, message } = (error ?? {}) as { getStatus?: unknown; message?: unknown };
    return typeof getStatus === 'function' && typeof message === 'string' ? message : undefined;
  } catch {
    // Anything may be thrown, also what throws when it is read.
    return undefined;
  }
}

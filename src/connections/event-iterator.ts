import { SseError } from '../common/sse.errors.js';
import type { SseEvent } from '../event/event.js';
import type { SseEndReason } from './connection.js';
import { EventQueue } from './event-queue.js';
import type { Connect } from './request.js';

/** Iterates over the events of a connection. It ends the connection, and ends with it. */
export class EventIterator<T> implements AsyncIterableIterator<SseEvent<T>, undefined, undefined> {
  readonly #queue: EventQueue;
  readonly #onAbort = () => this.#end('client');
  #close: ReturnType<Connect>;
  /** Why the connection was refused. The first `next()` rejects with it. */
  #refusal: SseError | undefined;
  #reason: SseEndReason | undefined;

  constructor(
    connect: Connect,
    hasHistory: boolean,
    private readonly signal?: AbortSignal,
  ) {
    this.#queue = new EventQueue(hasHistory, (reason) => this.#end(reason));
    if (signal?.aborted) this.#end('client');
    else this.#open(connect);
  }

  async next(): Promise<IteratorResult<SseEvent<T>, undefined>> {
    const refusal = this.#refusal;
    this.#refusal = undefined;
    if (refusal) throw refusal;
    return this.#queue.pull() as Promise<IteratorResult<SseEvent<T>, undefined>>;
  }

  async return(): Promise<IteratorResult<SseEvent<T>, undefined>> {
    this.#end('client');
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<never> {
    this.#end('client');
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('client');
  }

  #open(connect: Connect): void {
    const close = connect(this.#queue, this.#onAbort);
    // The connection may have ended while it opened.
    if (this.#reason) close?.(this.#reason);
    else this.#close = close;
    if (close && !this.#reason) this.signal?.addEventListener('abort', this.#onAbort);
    if (close) return;
    const why = 'a limit, a recent disconnect(), an expired credential, or the end of the application';
    this.#refusal = new SseError('SSE_UNAVAILABLE', `The connection is refused because of ${why}`);
    this.#end('client');
  }

  #end(reason: SseEndReason): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.signal?.removeEventListener('abort', this.#onAbort);
    this.#queue.close();
    this.#close?.(reason);
  }
}

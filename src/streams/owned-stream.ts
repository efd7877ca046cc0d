import { encodeStreamEnd } from '../event/message.js';
import type { OwnedState, SseStreamEnd, StreamState, StreamStore } from '../broker/streams.js';
import { Packs } from './packs.js';
import type { ResolvedStreamOptions } from './stream-options.js';

/** How often a lease is renewed at least, in ms: the reply brings a request to stop whose message was lost. */
const RENEW_MS = 3_500;
/** After a pause of so many `flushMs`, the second pack also leaves at once: a model announces its first token by an event of its own. */
const PAUSE = 4;
/** Between two attempts while the store fails, in ms: from the first to the last. */
const RETRY_MS = [50, 500] as const;
/** Unsent characters of JSON above which a producer should wait. */
const MAX_UNSENT = 1_048_576;

/** Which stream a process owns, and how it has started. */
export interface Ownership {
  readonly id: string;
  readonly owner: string;
  /** Of the start. */
  readonly state: StreamState;
  /** When the call was sent that started it, by `performance.now()`. */
  readonly startedAt: number;
  readonly options: ResolvedStreamOptions;
}

/**
 * A stream that this process produces: sends its events in packs, renews its lease, and ends it.
 *
 * One call to the store is in flight at a time, and is repeated until its outcome is known: the store takes each pack once. The process
 * gives its stream up when it could not renew the lease in time, or when the store says that it is no longer the owner.
 */
export class OwnedStream {
  /** Resolves when the end is stored, or the stream is lost. */
  readonly done: Promise<SseStreamEnd>;
  readonly #abort = new AbortController();
  readonly #packs = new Packs();
  /** The number of the first pack that is not confirmed. */
  #number = 1;
  /** When the last call was sent, and the last one that has succeeded. */
  #sentAt = -Infinity;
  /** Whether the last call was the first one after a pause. */
  #isFirst = false;
  #leasedAt: number;
  #expirySetAt = -Infinity;
  #isSending = false;
  /** Whether the store has to be asked again: the call in flight may be earlier than a request to stop. */
  #isAsked = false;
  #failures = 0;
  #bytes = 0;
  /** The end that is to be stored. */
  #end: SseStreamEnd | undefined;
  #isOver = false;
  #flush: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  readonly #renewal: NodeJS.Timeout;
  readonly #limit: NodeJS.Timeout | undefined;
  #ready: { promise: Promise<void>; resolve: () => void } | undefined;
  #settle!: (end: SseStreamEnd) => void;

  constructor(
    private readonly store: StreamStore,
    readonly ownership: Ownership,
  ) {
    this.done = new Promise((resolve) => (this.#settle = resolve));
    const { maxMs, leaseMs } = ownership.options;
    this.#leasedAt = ownership.startedAt;
    const period = Math.min(leaseMs / 4, RENEW_MS);
    this.#renewal = setInterval(
      () => performance.now() - this.#sentAt >= period && this.renew(),
      period / 8,
    ).unref();
    if (maxMs !== undefined) {
      const stop = () => this.stop({ status: 'error', reason: 'maxMs' });
      this.#limit = setTimeout(stop, maxMs).unref();
    }
  }

  get id(): string {
    return this.ownership.id;
  }

  /** Aborted when the stream is stopped, replaced, or lost. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether nothing more can be written. */
  get hasEnded(): boolean {
    return this.#end !== undefined || this.#isOver;
  }

  get isFull(): boolean {
    return this.#packs.size > MAX_UNSENT;
  }

  /** Resolves when the producer may write more. */
  get ready(): Promise<void> {
    if (!this.isFull || this.#isOver) return Promise.resolve();
    if (!this.#ready) {
      let resolve = () => {};
      const promise = new Promise<void>((done) => (resolve = done));
      this.#ready = { promise, resolve };
    }
    return this.#ready.promise;
  }

  /** @param event as it is stored */
  write(event: string): void {
    if (this.hasEnded) return;
    this.#bytes += Buffer.byteLength(event);
    if (this.#bytes > this.ownership.options.maxBytes)
      return this.stop({ status: 'error', reason: 'maxBytes' });
    this.#packs.push(event);
    this.#sendSoon();
  }

  /** Ends the stream. The first end counts. */
  finish(end: SseStreamEnd): Promise<SseStreamEnd> {
    if (this.hasEnded) return this.done;
    this.#end = end;
    this.#packs.push(encodeStreamEnd(JSON.stringify(end)));
    void this.#send();
    return this.done;
  }

  /** Ends the stream, and tells its producer. */
  stop(end: SseStreamEnd): void {
    if (this.hasEnded) return;
    void this.finish(end);
    this.#tell(end);
  }

  /** Renews the lease. The reply brings a request to stop. */
  renew(): void {
    this.#isAsked = this.#isSending;
    void this.#send();
  }

  /** The stream is over: its end is stored, or it is not this process's any more. */
  close(end: SseStreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#flush);
    clearImmediate(this.#turn);
    clearTimeout(this.#limit);
    clearInterval(this.#renewal);
    this.#ready?.resolve();
    if (end.status === 'aborted' || end.status === 'lost') this.#tell(end);
    this.#settle(end);
  }

  #tell({ status, reason }: SseStreamEnd): void {
    if (this.signal.aborted) return;
    this.#ready?.resolve();
    this.#abort.abort(new DOMException(`The stream is over: ${status}, ${reason}`, 'AbortError'));
  }

  /** The first events after a pause leave at the end of their turn of the event loop, later ones together. */
  #sendSoon(): void {
    // After a failure, the next attempt is due already.
    if (this.#isSending || this.#isOver || this.#failures > 0) return;
    const wait = this.#isFirst ? 0 : this.#sentAt + this.ownership.options.flushMs - performance.now();
    if (this.#packs.hasFull || this.#end) void this.#send();
    else if (wait <= 0) this.#turn ??= setImmediate(() => void this.#send());
    else this.#flush ??= setTimeout(() => void this.#send(), Math.ceil(wait));
  }

  async #send(): Promise<void> {
    if (this.#isSending || this.#isOver) return;
    clearTimeout(this.#flush);
    clearImmediate(this.#turn);
    this.#flush = this.#turn = undefined;
    this.#isSending = true;
    const { id, owner, options } = this.ownership;
    const sentAt = performance.now();
    this.#isFirst = sentAt - this.#sentAt > PAUSE * options.flushMs;
    this.#sentAt = sentAt;
    const packs = this.#packs.seal();
    const isLast = this.#end !== undefined && this.#packs.hasOnly(packs.length);
    const end = isLast ? this.#end : undefined;
    const { leaseMs } = options;
    const expiryMs = this.#expiryMs(sentAt, end !== undefined);
    const call = this.store.append(id, { owner, leaseMs, expiryMs, number: this.#number, packs, end });
    const state = await call.catch(() => 'failed' as const);
    this.#isSending = false;
    if (this.#isOver) return;
    if (state === 'failed') return this.#retry();
    this.#failures = 0;
    if (!state || state.owner !== owner) return this.close(this.#lossOf(state, sentAt));
    if (state.end) return this.close(state.end);
    this.#confirm(state, packs.length, sentAt);
  }

  /** After how long the keys expire, if that has to be set: half a lease after it was set last. */
  #expiryMs(now: number, isEnd: boolean): number | undefined {
    const { leaseMs, keepMs } = this.ownership.options;
    if (isEnd) return keepMs;
    if (this.#number > 1 && now - this.#expirySetAt < leaseMs / 2) return undefined;
    this.#expirySetAt = now;
    return keepMs + 2 * leaseMs;
  }

  #confirm(state: OwnedState, count: number, sentAt: number): void {
    this.#leasedAt = sentAt;
    this.#packs.confirm(count);
    this.#number += count;
    if (!this.isFull) {
      this.#ready?.resolve();
      this.#ready = undefined;
    }
    if (state.abort !== undefined) this.stop({ status: 'aborted', reason: state.abort });
    else if (!state.isWatched) this.stop({ status: 'aborted', reason: 'disconnect' });
    const isAsked = this.#isAsked;
    this.#isAsked = false;
    if (isAsked) void this.#send();
    else if (!this.#packs.isEmpty) this.#sendSoon();
  }

  #retry(): void {
    const { leaseMs } = this.ownership.options;
    if (performance.now() - this.#leasedAt > leaseMs) return this.close({ status: 'lost', reason: 'lease' });
    const delay = Math.min(RETRY_MS[0] * 2 ** this.#failures++, RETRY_MS[1]) * (0.5 + Math.random());
    this.#flush = setTimeout(() => void this.#send(), delay);
  }

  /** A stream that is no longer this one's was replaced, unless its lease had expired before. */
  #lossOf(state: OwnedState | undefined, sentAt: number): SseStreamEnd {
    const isLeased = sentAt - this.#leasedAt < this.ownership.options.leaseMs;
    if (state && isLeased) return { status: 'aborted', reason: 'replaced' };
    return { status: 'lost', reason: state || !isLeased ? 'lease' : 'data' };
  }
}

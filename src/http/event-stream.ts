import { Socket } from 'node:net';
import type { SseEndReason } from '../access/connection.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import type { Subscriber } from '../channel/subscribers.js';
import { FailureLog } from '../limiter.js';
import { causeOf } from '../sse.errors.js';
import type { Batch } from './batch.js';
import type { EventFilter } from './event-filter.js';
import { controlFrame, type Frame, frameOf, HEARTBEAT, retryFrame } from './frame.js';
import type { OpenStream } from './open-streams.js';
import type { Outbox, Outgoing } from './outbox.js';
import { type AnyResponse, isGone } from './platform.js';
import { ResponseWriter } from './response-writer.js';

/** A client with more unread bytes leaves live delivery and catches up from the history. */
const MAX_LIVE_BYTES = 524_288;
/** A client with so many more unread bytes, of events that are not stored, is disconnected. */
const MAX_PENDING_BYTES = 1_048_576;

/** How long a client may take to read what is left when its stream is ended. */
export const END_MS = 1_000;

export const HEAD = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // no-transform keeps compression middleware and proxies from holding events back.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
};

/** What of a subscriber's stream is its own. */
export interface EventStreamOptions {
  number: number;
  channels: readonly string[];
  /** Whether the client came with a Last-Event-ID: it needs no `sse.open` to have a cursor. */
  resumes: boolean;
  filter?: EventFilter;
  /** Tells the client when to come back. Nearly each stream's is another: it is none of the batches that they share. */
  retry: Batch;
  /** When it has lasted long enough, by the clock of `performance`. */
  dueAt: number;
  onCut: () => void;
  failures?: FailureLog;
}

/** One HTTP response that subscribes to channels. It is written once per turn of the event loop. */
export class EventStream implements Subscriber, Outgoing, OpenStream {
  /** What this turn has brought so far. */
  #batch: Batch | undefined;
  readonly #writer: ResponseWriter;
  #isOpen = false;
  /** Whether the stream has had no heartbeat since it began at a position that the client does not know. */
  #isNew = false;
  /** Unread bytes when the client fell behind, until it has read everything. */
  #behind = 0;
  /** The position of the stream, while the client does not know it: the last events were filtered out, or channels were added. */
  #position: string | undefined;
  endReason: SseEndReason | undefined;

  constructor(
    private readonly response: AnyResponse,
    private readonly outbox: Outbox,
    private readonly options: EventStreamOptions,
  ) {
    this.#writer = new ResponseWriter(response, options.retry);
    // A write may still meet a socket that has just been closed; that must not end the process.
    response.on('error', () => response.destroy());
  }

  open(cursor: string | undefined, live: readonly string[]): void {
    this.begin();
    const isFirst = !this.#isOpen;
    this.#isOpen = true;
    if (cursor === undefined || live.length === 0) return;
    // A resuming client has a position. Usually the next event brings the new one before the second heartbeat has to.
    this.#position = isFirst && this.options.resumes ? cursor : undefined;
    this.#isNew = this.#position !== undefined;
    if (!this.#position) this.#append(controlFrame(isFirst ? 'sse.open' : 'sse.position', cursor, live));
  }

  next(event: ChannelEvent, id?: string): void {
    const { filter } = this.options;
    if (filter && !event.type?.startsWith('sse.') && !filter(event.event)) {
      this.#position = id ?? event.cursor;
      return;
    }
    this.#position = undefined;
    this.#append(frameOf(event), id);
  }

  /** When the client has read what was written. */
  drained(): Promise<void> | undefined {
    this.#write();
    const drained = this.#writer.drained();
    if (!drained || this.pending <= MAX_LIVE_BYTES || this.#behind > 0) return drained;
    this.#behind = this.pending;
    return drained.finally(() => {
      this.#behind = 0;
    });
  }

  get isBehind(): boolean {
    // A response that is closed never drains.
    return this.#behind > 0 && this.#writer.drained() !== undefined;
  }

  /** Ends a stream whose client may not go on. */
  end(retryMs?: number): void {
    if (retryMs !== undefined) this.#append(retryFrame(retryMs));
    this.complete();
    setTimeout(() => this.destroy(), END_MS).unref();
  }

  complete(): void {
    if (this.response.writableEnded) return;
    try {
      this.begin();
      this.#tellPosition();
      this.#write();
      this.response.end();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The head, and the time after which the client is to come back; if they are not on their way. */
  begin(): void {
    const { response } = this;
    if (response.headersSent || isGone(response)) return;
    const { httpVersionMajor, socket } = response.req;
    // A time-out of the server's. In HTTP/2 it would be one of the whole session; an injected request has no socket.
    if (httpVersionMajor === 1 && socket instanceof Socket) socket.setTimeout(0);
    response.writeHead(200, HEAD);
    this.#batch ??= this.outbox.begin(this);
  }

  /** A keep-alive comment, if the stream has begun, as a head must not go out before its time; and is quiet. */
  heartbeat(): void {
    if (!this.response.headersSent || this.pending > 0) return;
    if (this.#isNew || !this.#tellPosition()) this.#append(HEARTBEAT);
    this.#isNew = false;
  }

  get dueAt(): number {
    return this.options.dueAt;
  }

  get number(): number {
    return this.options.number;
  }

  get pending(): number {
    return this.#writer.pending;
  }

  get progress(): number {
    return this.#writer.progress;
  }

  flush(): void {
    if (this.#batch && this.pending > MAX_PENDING_BYTES + this.#behind) this.cut();
    this.#write();
    if (this.pending > MAX_LIVE_BYTES) void this.drained();
  }

  /** Ends the connection of a client that does not read. */
  cut(): void {
    if (isGone(this.response)) return;
    this.endReason = 'slow';
    this.options.onCut();
    this.destroy();
    // Behind another response it has no socket that would tell it.
    if (this.response.socket === null) this.response.emit('close');
  }

  destroy(): void {
    this.response.destroy();
  }

  closed(): Promise<void> {
    return new Promise((resolve) => this.response.once('close', resolve));
  }

  /** Sends the position, unless the client knows it. @returns whether it did */
  #tellPosition(): boolean {
    // Without history there is none.
    if (!this.#position) return false;
    this.#append(controlFrame('sse.position', this.#position, this.options.channels));
    this.#position = undefined;
    return true;
  }

  #append(frame: Frame, id?: string): void {
    this.#batch = (this.#batch ?? this.outbox.begin(this)).with(frame, id);
  }

  #write(): void {
    const batch = this.#batch;
    if (!batch) return;
    this.#batch = undefined;
    try {
      this.#writer.write(batch);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.endReason = 'error';
    const { failures = new FailureLog() } = this.options;
    const cause = causeOf(error);
    failures.error(cause, `A response ends, as a write to it failed: ${cause}`);
    this.response.destroy();
  }
}

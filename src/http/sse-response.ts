import { Socket } from 'node:net';
import { type ConnectionResponse, END_MS, type SseEndReason } from '../connections/connection.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import type { Subscriber } from '../channel/subscribers.js';
import { FailureLog } from '../common/failure-log.js';
import { causeOf } from '../common/sse.errors.js';
import type { Batch } from './batch.js';
import type { EventFilter } from './event-filter.js';
import { controlFrame, type Frame, frameOf, HEARTBEAT, retryFrame } from './frame.js';
import type { Outbox, Outgoing } from './outbox.js';
import { type AnyResponse, isGone } from './platform.js';
import { ResponseWriter } from './response-writer.js';

/** A client with more unread bytes leaves live delivery and catches up from the history. */
const MAX_LIVE_BYTES = 524_288;
/** A client with so many more unread bytes, of events that are not stored, is disconnected. */
const MAX_PENDING_BYTES = 1_048_576;

export const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // no-transform keeps compression middleware and proxies from holding events back.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
};

export interface SseResponseOptions {
  readonly channels: readonly string[];
  /** Whether the client sent a Last-Event-ID. Such a client has a cursor without `sse.open`. */
  readonly resumes: boolean;
  readonly filter?: EventFilter;
  /** The first lines. They differ between responses, so they are not part of the shared batches. */
  readonly first: Batch;
  readonly failures?: FailureLog;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** From how many bytes on batches are compressed; undefined: the response is not compressed. */
  readonly gzip?: number;
}

/** One HTTP response that subscribes to channels. It is written once per turn of the event loop. */
export class SseResponse implements Subscriber, Outgoing, ConnectionResponse {
  /** The frames of this turn. */
  #batch: Batch | undefined;
  readonly #writer: ResponseWriter;
  #isOpen = false;
  /** Whether no heartbeat was sent since the response began at a position that the client does not know. */
  #isNew = false;
  /** Unread bytes when the client fell behind, until it has read everything. */
  #behind = 0;
  /** The position of the connection, while the client does not know it: the last events were filtered out, or channels were added. */
  #position: string | undefined;
  endReason: SseEndReason | undefined;

  constructor(
    protected readonly response: AnyResponse,
    private readonly outbox: Outbox,
    private readonly options: SseResponseOptions,
  ) {
    this.#writer = new ResponseWriter(response, options.first, options.gzip);
    // A write may meet a socket that has just been closed. Without a listener, that would end the process.
    response.on('error', () => response.destroy());
    // Node keeps an HTTP/2 stream with unsent bytes open if the client has reset it without an error code.
    response.stream?.once('aborted', () => response.destroy());
  }

  open(cursor: string | undefined, live: readonly string[], isTruncated = false): void {
    this.begin();
    const isFirst = !this.#isOpen;
    this.#isOpen = true;
    if (cursor === undefined || live.length === 0) return;
    // A resuming client has a position. Usually the next event brings the new one before the second heartbeat has to.
    const { resumes } = this.options;
    this.#position = isFirst && resumes && !isTruncated ? cursor : undefined;
    this.#isNew = this.#position !== undefined;
    const type = isFirst && !resumes ? 'sse.open' : 'sse.position';
    if (!this.#position) this.append(controlFrame(type, cursor, live, isTruncated));
  }

  next(event: ChannelEvent, id?: string): void {
    const { filter } = this.options;
    if (filter && !event.type?.startsWith('sse.') && !filter(event.event)) {
      this.#position = id ?? event.cursor;
      return;
    }
    this.#position = undefined;
    this.append(frameOf(event), id);
  }

  /** When the client has read what was written. */
  drained(): Promise<void> | undefined {
    this.write();
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

  /** @param retryMs after how long the client may reconnect, if not as usual */
  end(retryMs?: number): void {
    if (retryMs !== undefined) this.append(retryFrame(retryMs));
    this.complete();
    setTimeout(() => this.destroy(), END_MS).unref();
  }

  finish(): void {
    this.endReason ??= 'ended';
    this.complete();
  }

  complete(): void {
    if (this.response.writableEnded) return;
    try {
      this.begin();
      this.#tellPosition();
      this.write();
      this.#writer.end();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Sends the response headers and the first lines, once. */
  begin(): void {
    const { response } = this;
    if (response.headersSent || isGone(response)) return;
    const { httpVersionMajor, socket } = response.req;
    // Switches off the server's time-out. In HTTP/2 it would be that of the session; an injected request has no socket.
    if (httpVersionMajor === 1 && socket instanceof Socket) socket.setTimeout(0);
    response.writeHead(200, { ...HEADERS, ...this.options.headers });
    this.#batch ??= this.outbox.begin(this);
  }

  /** Sends a comment, or the position, on a quiet connection whose headers are sent. */
  heartbeat(): void {
    if (!this.response.headersSent || this.pending > 0) return;
    if (this.#isNew || !this.#tellPosition()) this.append(HEARTBEAT);
    this.#isNew = false;
  }

  get pending(): number {
    return this.#writer.pending;
  }

  get progress(): number {
    return this.#writer.progress;
  }

  flush(): void {
    if (this.#batch && this.pending > MAX_PENDING_BYTES + this.#behind) this.disconnectSlow();
    this.write();
    if (this.pending > MAX_LIVE_BYTES) void this.drained();
  }

  disconnectSlow(): void {
    if (isGone(this.response)) return;
    this.endReason = 'slow';
    this.destroy();
    // A response that is queued behind another one has no socket, so Node does not emit `close`.
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
    this.append(controlFrame('sse.position', this.#position, this.options.channels));
    this.#position = undefined;
    return true;
  }

  protected append(frame: Frame, id?: string): void {
    this.#batch = (this.#batch ?? this.outbox.begin(this)).with(frame, id);
  }

  protected write(): void {
    const batch = this.#batch;
    if (!batch) return;
    this.#batch = undefined;
    try {
      this.#writer.write(batch);
    } catch (error) {
      this.fail(error);
    }
  }

  protected fail(error: unknown): void {
    this.endReason = 'error';
    const { failures = new FailureLog() } = this.options;
    const cause = causeOf(error);
    failures.error(cause, `A response ends, as a write to it failed: ${cause}`);
    this.destroy();
  }
}

import { type ConnectionResponse, END_MS, type SseEndReason } from '../connections/connection.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import type { Subscriber } from '../channel/subscribers.js';
import { FailureLog } from '../common/failure-log.js';
import { causeOf } from '../common/sse.errors.js';
import { type Batch, SharedBatch } from './batch.js';
import type { EventFilter } from './event-filter.js';
import { controlFrame, type Frame, frameOf, HEARTBEAT, retryFrame } from './frame.js';
import type { Outbox, Outgoing } from './outbox.js';
import type { AnyResponse } from './platform.js';
import { ResponseWriter } from './response-writer.js';
import type { IsIdle, Writer, WriterOwner } from './writer.js';

/** A client with more unread bytes leaves live delivery and catches up from the history. */
const MAX_LIVE_BYTES = 524_288;
/** A client with so many more unread bytes, of events that are not stored, is disconnected. */
const MAX_PENDING_BYTES = 1_048_576;
const BEAT = new SharedBatch().with(HEARTBEAT);

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

/** One HTTP response that subscribes to channels. It is written once per turn of the event loop, or per interval. */
export class SseResponse implements Subscriber, Outgoing, ConnectionResponse, WriterOwner {
  /** The frames of this turn, or interval. */
  #batch: Batch | undefined;
  #writer: Writer;
  #isOpen = false;
  /** Whether no heartbeat was sent since the response began at a position that the client does not know. */
  #isNew = false;
  /** Unread bytes when the client fell behind, until it has read everything. */
  #behind = 0;
  /** The position of the connection, while the client does not know it: the last events were filtered out, or channels were added. */
  #position: string | undefined;
  endReason: SseEndReason | undefined;
  writtenIn = 0;

  /** Told once, when the response has ended or its connection is closed. */
  connection: { onClosed(hasEnded: boolean): void } | undefined;
  #waiting: (() => void)[] | undefined;

  constructor(
    response: AnyResponse,
    private readonly outbox: Outbox,
    private readonly options: SseResponseOptions,
  ) {
    this.#writer = new ResponseWriter(response, options.first, this, options.gzip);
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

  next(event: ChannelEvent, id?: string, isOwn?: boolean): void {
    const { filter } = this.options;
    if (filter && !event.type?.startsWith('sse.') && !filter(event.event)) {
      this.#position = id ?? event.cursor;
      return;
    }
    this.#position = undefined;
    this.append(frameOf(event), id, isOwn);
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

  complete(reason?: SseEndReason): void {
    if (this.#writer.hasEnded) return;
    this.endReason ??= reason;
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
    if (this.#writer.begin(this.options.headers)) this.#batch ??= this.outbox.begin(this);
  }

  /**
   * Detaches the response when its headers are sent, where its socket is enough.
   *
   * @param isIdle whether a listener of the response does nothing
   * @returns whether it did
   */
  release(isIdle: IsIdle): boolean {
    const writer = this.#writer.detached(isIdle);
    if (!writer) return false;
    this.#writer = writer;
    return true;
  }

  /** Sends a comment, or the position, on a quiet connection whose headers are sent. */
  heartbeat(): void {
    if (!this.#writer.hasBegun || this.pending > 0) return;
    // Not by the outbox: after a comment, too, the next event is the first one after a silence. Waiting events make it unnecessary.
    if ((this.#isNew || !this.#tellPosition()) && !this.#batch) this.write(BEAT);
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
    if (this.#writer.isGone) return;
    this.endReason = 'slow';
    this.destroy();
  }

  destroy(): void {
    this.#writer.destroy();
  }

  closed(): Promise<void> {
    return new Promise((resolve) => (this.#waiting ??= []).push(resolve));
  }

  get isOver(): boolean {
    return this.#writer.hasEnded || this.#writer.isGone;
  }

  onClosed(): void {
    this.connection?.onClosed(this.#writer.hasEnded);
    for (const resolve of this.#waiting ?? []) resolve();
  }

  /** Sends the position, unless the client knows it. @returns whether it did */
  #tellPosition(): boolean {
    // Without history there is none.
    if (!this.#position) return false;
    this.append(controlFrame('sse.position', this.#position, this.options.channels));
    this.#position = undefined;
    return true;
  }

  protected append(frame: Frame, id?: string, isOwn?: boolean): void {
    const before = this.#batch ?? this.outbox.begin(this);
    this.#batch = before.with(frame, id, isOwn);
    if (this.#batch.isLarge && !before.isLarge) this.outbox.hurry(this);
  }

  protected write(batch = this.#batch): void {
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

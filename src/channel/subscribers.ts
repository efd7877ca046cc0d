import type { FailureLog } from '../common/failure-log.js';
import type { Limiter } from '../common/limiter.js';
import { causeOf } from '../common/sse.errors.js';
import type { ChannelMetrics } from './channel-metrics.js';
import { type ChannelEvent, resetEvent } from './channel-event.js';

/** A receiver of a channel's events: the subscriber of an observable, or an HTTP response. */
export interface Subscriber {
  /**
   * The connection begins, or further channels are added to it. Every event after `cursor` will be delivered; without history it is
   * undefined. Called before any event of these channels. `live` lists the channels that begin with events published from now on,
   * or with their newest ones, at a position that the client does not know. `isTruncated`: it was to begin with more events than the
   * limits allow.
   */
  open(cursor: string | undefined, live: readonly string[], isTruncated?: boolean): void;
  /**
   * One event, published or `sse.reset`. `id` is given if it differs from the event's id in its channel. `isOwn`: no other connection gets
   * the event with this id.
   */
  next(event: ChannelEvent, id?: string, isOwn?: boolean): void;
  /** The connection ends. It must not throw. */
  complete(): void;
  /** The stream has ended: no event follows, and what is unread is still to be delivered. @default complete() */
  finish?(): void;
  /** Resolves when the client has read enough for more events; undefined if it has already. */
  drained?(): Promise<void> | undefined;
  /** Whether the client reads too slowly for live delivery and must catch up from the history. */
  readonly isBehind?: boolean;
  /** Whether it gets any number of missed events, as those of a stream. Otherwise it gets a reset beyond the limits. */
  readonly isUnbounded?: boolean;
  /** Closes the connection because the client does not read events that are not stored. */
  disconnectSlow?(): void;
  /** The turns of the channels of one connection, which replay one page at a time. */
  readonly turns?: Limiter;
}

/** The live subscribers of a channel. */
export class Subscribers {
  readonly #all = new Set<Subscriber>();
  /** Subscribers that were added during a delivery, and do not get that event. */
  readonly #newcomers = new Set<Subscriber>();
  #delivering = false;

  constructor(
    private readonly failures: FailureLog,
    private readonly metrics: ChannelMetrics,
  ) {}

  add(subscriber: Subscriber): void {
    (this.#delivering ? this.#newcomers : this.#all).add(subscriber);
  }

  delete(subscriber: Subscriber): void {
    this.#all.delete(subscriber);
    this.#newcomers.delete(subscriber);
  }

  clear(): void {
    this.#all.clear();
    this.#newcomers.clear();
  }

  /**
   * Delivers an event to all subscribers. A subscriber that fails is closed; the others get the event.
   *
   * @param onBehind is called for each subscriber that is behind, in place of the delivery. The subscriber is then no longer live
   * @returns the number of subscribers that got it
   */
  deliver(event: ChannelEvent, onBehind?: (subscriber: Subscriber) => void): number {
    let count = 0;
    this.#delivering = true;
    for (const subscriber of this.#all) {
      if (onBehind && subscriber.isBehind) {
        this.#all.delete(subscriber);
        onBehind(subscriber);
      } else if (this.send(subscriber, event)) count++;
      else this.#all.delete(subscriber);
    }
    this.#delivering = false;
    for (const newcomer of this.#newcomers) this.#all.add(newcomer);
    this.#newcomers.clear();
    return count;
  }

  /** @returns whether the subscriber got it */
  send(subscriber: Subscriber, event: ChannelEvent): boolean {
    try {
      subscriber.next(event);
      return true;
    } catch (error) {
      // It must not get the next event before this one: its client reconnects for both.
      const cause = causeOf(error);
      this.failures.error(cause, `A connection to ${event.channel} ends, as it failed: ${cause}`);
      subscriber.complete();
      return false;
    }
  }

  /**
   * Sends a replayed event. If the subscriber fails on it, closing the connection would only repeat the replay: the subscriber gets
   * `sse.reset` in place of the event.
   */
  resend(subscriber: Subscriber, event: ChannelEvent): boolean {
    try {
      subscriber.next(event);
      return true;
    } catch (error) {
      const cause = causeOf(error);
      this.failures.error(
        `again: ${cause}`,
        `A client does not get event ${event.id} of ${event.channel}, as its connection fails on it: ${cause}`,
      );
      this.metrics.resets.failed++;
      return this.send(subscriber, resetEvent(event.channel, 'failed', event.cursor));
    }
  }
}

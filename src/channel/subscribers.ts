import type { FailureLog, Limiter } from '../limiter.js';
import { causeOf } from '../sse.errors.js';
import type { ChannelCounts } from './channel-counts.js';
import { type ChannelEvent, resetEvent } from './channel-event.js';

/** Where a channel's events go: an observable's subscriber, or an HTTP response. */
export interface Subscriber {
  /**
   * The stream begins, or further channels are added to it. Every event after `cursor` will be delivered; without history it is
   * undefined. Called before any event of these channels. `live` lists the channels that begin with events published from now on,
   * at a position that the client does not know.
   */
  open(cursor: string | undefined, live: readonly string[]): void;
  /**
   * One event, published or `sse.reset`. `id` is given where it has another one in this stream than in its channel.
   */
  next(event: ChannelEvent, id?: string): void;
  /** The stream has ended. It must not throw. */
  complete(): void;
  /** Resolves when more may be sent, for one that cannot take everything at once. */
  drained?(): Promise<void> | undefined;
  /** Whether the client reads too slowly for live delivery and must catch up from the history. */
  readonly isBehind?: boolean;
  /** Closes the connection because the client does not read events that are not stored. */
  cut?(): void;
  /** Where it is one of the channels of a connection, in which order these are brought up to date: a page each in turn. */
  readonly turns?: Limiter;
}

/** The live subscribers of a channel. */
export class Subscribers {
  readonly #all = new Set<Subscriber>();
  /** Those who came while an event was being delivered: it was before their time. */
  readonly #newcomers = new Set<Subscriber>();
  #delivering = false;

  constructor(
    private readonly failures: FailureLog,
    private readonly counts: ChannelCounts,
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
   * Delivers an event to all of them; one that fails is cut, and does not keep it from the others.
   *
   * @param onBehind is called for each subscriber that is behind, in place of the delivery. The subscriber is then no longer live
   * @returns to how many
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

  /** @returns whether the subscriber has taken it */
  send(subscriber: Subscriber, event: ChannelEvent): boolean {
    try {
      subscriber.next(event);
      return true;
    } catch (error) {
      // It missed this event, so it must not get the next one: it is cut, and comes back for both.
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
      this.counts.resets.failed++;
      return this.send(subscriber, resetEvent(event.channel, 'failed', event.cursor));
    }
  }
}

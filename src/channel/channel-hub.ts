import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { ChannelListener, SseBroker } from '../broker/broker.js';
import { decodeMessage, type LiveMessage } from '../broker/message.js';
import { compareCursors, isCursor, type SseEvent } from '../event.js';

/** Why continuity broke: the id is not known here, or events after it cannot be had any more. */
export type ResetReason = 'unknown' | 'lost';

/** Where a channel's events go: an observable's subscriber, or an HTTP response. */
export interface Subscriber {
  /** The stream begins: everything after `cursor` will be delivered. Called once, before any event. */
  open(cursor: string): void;
  /** One event, published or `sse.reset`; `cursor` is the place in the channel that it takes the stream to. */
  next(event: SseEvent, cursor: string): void;
  /** The stream has ended. */
  complete(): void;
}

/** Messages held back while the hub finds out where it is. */
const MAX_BUFFERED = 2_048;
/** Publishers' ids remembered per channel. */
const MAX_OWN_IDS = 1_000;
const RETRY_MS = 250;

/**
 * One channel in this process: one broker subscription, any number of subscribers, and the position in the chain
 * up to which all of them have been served.
 *
 * The hub is live while its position is the last link of the chain. A message whose `prev` is not the position
 * shows a gap, and so does a position in the store that differs after an interruption; the subscribers then get
 * one `sse.reset`, and the stream goes on behind the gap.
 */
export class ChannelHub implements ChannelListener {
  readonly #logger = new Logger('SseModule');
  readonly #subscribers = new Set<Subscriber>();
  /** Those who came while an event was being delivered: it was before their time. */
  readonly #newcomers = new Set<Subscriber>();
  readonly #waiting = new Set<() => void>();
  /** Ids that publishers gave, as far back as they are remembered. */
  readonly #ownIds = new Set<string>();
  #position: string | undefined;
  /** The publisher's id of the event at the position, if it gave one and no other event had it. */
  #positionId: string | undefined;
  #live = false;
  /** Messages held back until the hub is live. */
  #buffer: LiveMessage[] = [];
  #generation = 0;
  #delivering = false;
  #reported = false;

  constructor(
    readonly channel: string,
    private readonly broker: SseBroker,
    private readonly onDropped: (channel: string) => void,
  ) {
    broker.subscribe(channel, this);
  }

  get live(): boolean {
    return this.#live;
  }

  /**
   * Calls back once, as soon as the hub is live; what arrives after that call is still to be delivered.
   *
   * @returns what takes it back
   */
  whenLive(callback: () => void): () => void {
    if (this.#live) callback();
    else this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** Adds a subscriber to a live hub: after `lastEventId`, or from now on. */
  attach(subscriber: Subscriber, lastEventId: string | undefined): void {
    const position = this.#position!;
    subscriber.open(position);
    if (lastEventId !== undefined && lastEventId !== position && lastEventId !== this.#positionId) {
      subscriber.next(this.#reset(isCursor(lastEventId) ? 'lost' : 'unknown', position), position);
    }
    (this.#delivering ? this.#newcomers : this.#subscribers).add(subscriber);
  }

  detach(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    this.#newcomers.delete(subscriber);
  }

  close(): void {
    this.#generation++;
    this.#waiting.clear();
    this.#subscribers.clear();
    this.#newcomers.clear();
    this.broker.unsubscribe(this.channel);
  }

  onInterrupted(): void {
    this.#generation++;
    this.#live = false;
  }

  onSubscribed(): void {
    this.#live = false;
    void this.#synchronise(++this.#generation);
  }

  onMessage(text: string): void {
    const message = decodeMessage(text);
    if (!message) return this.onDropped(this.channel);
    if (this.#live) return this.#accept(message);
    this.#buffer.push(message);
    // Beyond the bound the oldest go: the gap that they leave shows by itself.
    if (this.#buffer.length > MAX_BUFFERED) this.#buffer.splice(0, MAX_BUFFERED / 2);
  }

  async #synchronise(generation: number): Promise<void> {
    let stored: string | undefined;
    while (stored === undefined) {
      try {
        stored = await this.broker.position(this.channel);
      } catch (error) {
        // An outage is the broker's to report, once for all channels. Clients stay connected, whatever it is.
        if (this.broker.connected) this.#report(error as Error);
        await sleep(RETRY_MS * (1 + Math.random()), undefined, { ref: false });
      }
      if (generation !== this.#generation) return;
    }
    this.#reported = false;
    this.#goLive(stored);
  }

  /** In one turn of the event loop, so that nothing arrives in between. */
  #goLive(stored: string): void {
    const buffer = this.#buffer;
    const first = this.#position === undefined;
    this.#buffer = [];
    this.#live = true;
    // What came since the subscription is live, although the position was read after it.
    this.#position ??= buffer.find(({ cursor }) => cursor !== undefined)?.prev ?? stored;
    if (first) this.#wake();
    // The store has forgotten events that were delivered: another chain goes on from here.
    if (compareCursors(stored, this.#position) < 0 && !first) this.#jump(stored);
    for (const message of buffer) {
      const known = message.cursor !== undefined && compareCursors(message.cursor, this.#position) <= 0;
      if (!known) this.#accept(message);
    }
    if (compareCursors(stored, this.#position) > 0) this.#jump(stored);
    this.#wake();
  }

  #wake(): void {
    for (const callback of this.#waiting) {
      try {
        callback();
      } catch (error) {
        this.#logger.error(error);
      }
    }
    this.#waiting.clear();
  }

  #accept(message: LiveMessage): void {
    const { data, type, retry, cursor, prev } = message;
    if (cursor !== undefined && prev !== this.#position) this.#jump(prev ?? this.#position!);
    const position = cursor ?? this.#position!;
    const id = message.id ?? position;
    if (cursor !== undefined) {
      this.#position = cursor;
      this.#positionId = message.id === cursor ? undefined : this.#unlessKnown(message.id);
    }
    const event: SseEvent = { id, channel: this.channel, data };
    if (type !== undefined) event.type = type;
    if (retry !== undefined) event.retry = retry;
    this.#deliver(Object.freeze(event), position);
  }

  /** Goes on from elsewhere in the chain, and says so. */
  #jump(position: string): void {
    this.#position = position;
    this.#positionId = undefined;
    this.#deliver(this.#reset('lost', position), position);
  }

  /** An id that was used before is no position: who comes back with it may mean the earlier event. */
  #unlessKnown(id: string | undefined): string | undefined {
    if (id === undefined || this.#ownIds.has(id)) return undefined;
    if (this.#ownIds.size >= MAX_OWN_IDS) this.#ownIds.delete(this.#ownIds.values().next().value!);
    this.#ownIds.add(id);
    return id;
  }

  #deliver(event: SseEvent, cursor: string): void {
    this.#delivering = true;
    for (const subscriber of this.#subscribers) {
      try {
        subscriber.next(event, cursor);
      } catch (error) {
        // It missed this event, so it must not get the next one: it is cut, and comes back for both.
        this.#logger.error(error);
        this.#subscribers.delete(subscriber);
        subscriber.complete();
      }
    }
    this.#delivering = false;
    for (const newcomer of this.#newcomers) this.#subscribers.add(newcomer);
    this.#newcomers.clear();
  }

  #report(error: Error): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#logger.error(
      `Channel ${this.channel} is not live, and will be when this is mended: ${error.message}`,
    );
  }

  #reset(reason: ResetReason, id: string): SseEvent {
    const { channel } = this;
    return Object.freeze({ type: 'sse.reset', id, channel, data: { channel, reason } });
  }
}

import { Injectable, Logger } from '@nestjs/common';
import { POSITION_MS, SseBroker } from '../broker/broker.js';
import { ChannelHub, type Subscriber } from './channel-hub.js';
import { mergeInto, splitLastEventId } from './composite.js';

/** How long a channel stays subscribed after its last subscriber: long enough for an `EventSource` to come back. */
const LINGER_MS = 10_000;
/** Channels remembered as having been reported for a message that is none. */
const MAX_REPORTED = 1_000;

/** A stream of one or more channels, from its request until it is given up. */
export interface Subscription {
  /** Resolves once the stream is live: every event published from now on reaches the subscriber. */
  readonly ready: Promise<void>;
  readonly unsubscribe: () => void;
}

/** All channels of this process, each with one hub for all of its subscribers. */
@Injectable()
export class Channels {
  readonly #logger = new Logger('SseModule');
  readonly #hubs = new Map<string, { hub: ChannelHub; users: number; linger?: NodeJS.Timeout }>();
  readonly #streams = new Set<Subscriber>();
  readonly #reported = new Set<string>();
  readonly #refresh: NodeJS.Timeout;
  #dropped = 0;
  #closed = false;

  constructor(
    private readonly broker: SseBroker,
    private readonly lingerMs = LINGER_MS,
  ) {
    // A position that is read is kept: a quiet channel with subscribers must not be taken for one that was wiped.
    this.#refresh = setInterval(() => void this.#readPositions(), POSITION_MS / 4).unref();
  }

  /** Counts of this process, now: channels subscribed, streams open, and messages dropped since the start. */
  get counts(): { channels: number; streams: number; dropped: number } {
    return { channels: this.#hubs.size, streams: this.#streams.size, dropped: this.#dropped };
  }

  /**
   * Opens a stream. The subscription is requested in this call; the stream begins when all channels are live.
   *
   * @param channels canonical names, each once
   * @param lastEventId whatever the client sent; what is not a known position gives `sse.reset`
   */
  subscribe(channels: readonly string[], subscriber: Subscriber, lastEventId?: string): Subscription {
    if (this.#closed) {
      subscriber.complete();
      return { ready: Promise.resolve(), unsubscribe: () => undefined };
    }
    const starts = splitLastEventId(channels, lastEventId);
    const hubs = channels.map((channel) => this.#acquire(channel));
    const legs = channels.length === 1 ? [subscriber] : mergeInto(subscriber, channels);
    let stopWaiting = () => {};
    const ready = new Promise<void>((resolve) => {
      const start = () => {
        const late = hubs.find((hub) => !hub.live);
        if (late) {
          stopWaiting = late.whenLive(start);
          return;
        }
        hubs.forEach((hub, index) => hub.attach(legs[index]!, starts.get(hub.channel)));
        resolve();
      };
      start();
    });
    this.#streams.add(subscriber);
    const unsubscribe = () => {
      if (!this.#streams.delete(subscriber)) return;
      stopWaiting();
      hubs.forEach((hub, index) => {
        hub.detach(legs[index]!);
        this.#release(hub.channel);
      });
    };
    return { ready, unsubscribe };
  }

  /** Completes every stream, now and from now on. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#refresh);
    for (const { hub, linger } of this.#hubs.values()) {
      clearTimeout(linger);
      hub.close();
    }
    this.#hubs.clear();
    for (const subscriber of this.#streams) subscriber.complete();
    this.#streams.clear();
  }

  #acquire(channel: string): ChannelHub {
    let entry = this.#hubs.get(channel);
    if (!entry) {
      entry = { hub: new ChannelHub(channel, this.broker, (name) => this.#drop(name)), users: 0 };
      this.#hubs.set(channel, entry);
    }
    clearTimeout(entry.linger);
    entry.users++;
    return entry.hub;
  }

  #release(channel: string): void {
    const entry = this.#hubs.get(channel);
    if (!entry || --entry.users > 0) return;
    entry.linger = setTimeout(() => {
      this.#hubs.delete(channel);
      entry.hub.close();
    }, this.lingerMs).unref();
  }

  async #readPositions(): Promise<void> {
    for (const channel of this.#hubs.keys()) await this.broker.position(channel).catch(() => undefined);
  }

  #drop(channel: string): void {
    this.#dropped++;
    if (this.#reported.has(channel) || this.#reported.size >= MAX_REPORTED) return;
    this.#reported.add(channel);
    this.#logger.warn(
      `Dropped a message on ${channel} that is no event (docs/wire-format.md); further ones are only counted`,
    );
  }
}

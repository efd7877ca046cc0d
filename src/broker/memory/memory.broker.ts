import type { SseError } from '../../common/sse.errors.js';
import type { Publication } from '../../event/event.js';
import { type History, HISTORY_DEFAULTS } from '../../options/sse.options.js';
import {
  closedError,
  CONTROL_CHANNEL,
  CONTROL_KEEPS,
  type ChannelListener,
  IDEMPOTENCY_MS,
  type Newest,
  type Page,
  POSITION_MS,
  type PublishOutcome,
  type ReplayBounds,
  SseBroker,
  UNUSED_MS,
} from '../broker.js';
import { ExpiringMap } from './expiring-map.js';
import { Chain } from './chain.js';
import { nextCursor } from './cursor.js';
import { MemoryStreams } from './memory.streams.js';
import { MemoryTickets } from './memory.tickets.js';
import { streamError } from '../streams.js';
import { completeBody, encodeBody } from '../../event/message.js';

/** How often expired events and positions are freed, in ms. */
const SWEEP_MS = 10_000;

/**
 * Carries and stores events in one process. It does in a few lines what the Redis broker does in scripts, messages
 * included: subscribers get a copy of the data, and the same bytes with either broker.
 */
export class MemorySseBroker extends SseBroker {
  readonly state = 'up';
  override readonly isLocal = true;
  readonly #positions: ExpiringMap<string>;
  /** Positions of channels without publications. */
  readonly #beginnings = new ExpiringMap<string>(UNUSED_MS);
  readonly #chains: ExpiringMap<Chain>;
  /** The chain of the control channel, which is independent of `history`. */
  readonly #controlChains = new ExpiringMap<Chain>(CONTROL_KEEPS.maxAgeMs);
  readonly #published = new ExpiringMap<string>(IDEMPOTENCY_MS);
  readonly #listeners = new Map<string, ChannelListener>();
  readonly streams = new MemoryStreams({
    tip: (channel) => this.#tip(channel),
    hasEvents: (channel) => this.#chains.get(channel) !== undefined,
    send: (channel, text) => this.#send(channel, text),
    sweep: () => this.#sweepLater(),
  });
  readonly tickets = new MemoryTickets(() => this.#sweepLater());
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly history: History | false = HISTORY_DEFAULTS) {
    super();
    const { maxAgeMs } = history || HISTORY_DEFAULTS;
    this.#positions = new ExpiringMap(Math.max(POSITION_MS, 2 * maxAgeMs));
    this.#chains = new ExpiringMap(maxAgeMs);
  }

  async publish(channel: string, publication: Publication): Promise<string> {
    this.#check(channel, [publication]);
    return this.#publish(channel, publication);
  }

  async publishAll(channel: string, publications: readonly Publication[]): Promise<PublishOutcome[]> {
    try {
      this.#check(channel, publications);
    } catch (error) {
      return publications.map(() => error as SseError);
    }
    return publications.map((publication) => this.#publish(channel, publication));
  }

  #check(channel: string, publications: readonly Publication[]): void {
    if (this.#closed) throw closedError();
    this.#sweepLater();
    if (!this.streams.get(channel)) return;
    if (publications.some(({ transient }) => !transient)) throw streamError(channel);
  }

  #publish(channel: string, publication: Publication): string {
    const { id, idempotencyKey, transient } = publication;
    const key = idempotencyKey === undefined ? undefined : `${channel} ${idempotencyKey}`;
    const first = key === undefined ? undefined : this.#published.get(key);
    if (first !== undefined) return first;
    const kept = !transient && this.history !== false;
    const body = encodeBody(publication, kept);
    const publicId = kept ? this.#store(channel, body, id) : (id ?? '');
    if (!kept) this.#send(channel, body);
    if (key !== undefined) this.#published.set(key, publicId);
    return publicId;
  }

  subscribe(channel: string, listener: ChannelListener): void {
    this.#listeners.set(channel, listener);
    if (this.history) this.#tip(channel);
    queueMicrotask(() => {
      if (this.#listeners.get(channel) === listener) listener.onSubscribed();
    });
  }

  unsubscribe(channel: string): void {
    this.#listeners.delete(channel);
  }

  async read(
    channel: string,
    from: readonly string[] | Newest,
    limit: number,
    bounds?: ReplayBounds,
  ): Promise<Page> {
    this.#sweepLater();
    const tip = this.#tip(channel);
    const chain = this.streams.get(channel)?.chain ?? this.#chainsOf(channel).get(channel);
    if ('newest' in from) {
      const { after = tip, isTruncated } = chain?.newest(from.newest, bounds!) ?? {};
      const events = chain?.after(after, limit) ?? [];
      return { tip, after, events, end: events.at(-1)?.cursor ?? tip, isTruncated };
    }
    const found = chain?.find(from, tip) ?? from.find((position) => position === tip);
    if (found === undefined) return { tip, events: [], end: tip };
    if (bounds && chain?.exceeds(found, bounds)) {
      return { tip, after: found, events: [], end: tip, isTooMuch: true };
    }
    const events = chain?.after(found, limit) ?? [];
    return { tip, after: found, events, end: events.at(-1)?.cursor ?? tip };
  }

  /** Loses the history of a channel and interrupts its subscription, for tests. */
  forget(channel: string): void {
    this.streams.forget(channel);
    this.#chains.set(channel, new Chain());
    this.#positions.set(channel, nextCursor(this.#tip(channel)));
    const listener = this.#listeners.get(channel);
    listener?.onInterrupted();
    if (listener) this.subscribe(channel, listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#listeners.clear();
  }

  #store(channel: string, body: string, id: string | undefined): string {
    const { maxEvents, maxAgeMs } = channel === CONTROL_CHANNEL ? CONTROL_KEEPS : (this.history as History);
    const prev = this.#positions.get(channel) ?? this.#tip(channel);
    const cursor = nextCursor(prev);
    const chain = this.#chainsOf(channel).get(channel) ?? new Chain();
    const reused = chain.has(id);
    const text = completeBody(body, { cursor, prev, id, reused });
    chain.push({ cursor, prev, text });
    chain.trim(maxEvents, maxAgeMs);
    if (id !== undefined && !reused) chain.index(id, cursor, maxEvents);
    this.#chainsOf(channel).set(channel, chain);
    this.#positions.set(channel, cursor);
    this.#send(channel, text);
    return id ?? cursor;
  }

  /** A channel without events gets a cursor that marks its beginning. */
  #tip(channel: string): string {
    const stream = this.streams.get(channel);
    if (stream) return stream.tip;
    const known = this.#positions.get(channel);
    const tip = known ?? this.#beginnings.get(channel) ?? nextCursor();
    (known === undefined ? this.#beginnings : this.#positions).set(channel, tip);
    return tip;
  }

  #chainsOf(channel: string): ExpiringMap<Chain> {
    return channel === CONTROL_CHANNEL ? this.#controlChains : this.#chains;
  }

  #expire(): void {
    const maps = [this.#positions, this.#beginnings, this.#chains, this.#controlChains, this.#published];
    for (const map of maps) map.expire();
    this.streams.expire();
    this.tickets.expire();
  }

  /** Frees what has expired from time to time: a publication is not to visit every stream. */
  #sweepLater(): void {
    if (!this.#closed) this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS).unref();
  }

  /** In a microtask, so that an event published from within a subscriber comes after the one being delivered. */
  #send(channel: string, text: string): void {
    const listener = this.#listeners.get(channel);
    queueMicrotask(() => {
      if (listener && this.#listeners.get(channel) === listener) listener.onMessage(text);
    });
  }
}

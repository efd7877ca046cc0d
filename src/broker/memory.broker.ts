import { randomInt } from 'node:crypto';
import { compareCursors, isCursor, type Publication } from '../event.js';
import { type History, HISTORY_DEFAULTS } from '../sse.options.js';
import {
  closedError,
  CONTROL_CHANNEL,
  CONTROL_KEEPS,
  OLDEST,
  type ChannelListener,
  IDEMPOTENCY_MS,
  PAGE_BYTES,
  type Page,
  POSITION_MS,
  SseBroker,
  type StoredEvent,
  UNUSED_MS,
} from './broker.js';
import { completeBody, decodeMessage, encodeBody } from './message.js';

/**
 * Carries and keeps events inside one process. It does in a few lines what the Redis broker does in scripts, messages
 * included: subscribers get their own copy of the data, and see the same bytes with either broker.
 */
export class MemorySseBroker extends SseBroker {
  readonly state = 'up';
  override readonly isLocal = true;
  readonly #positions: ExpiringMap<string>;
  /** Positions of channels that nothing was published to. */
  readonly #beginnings = new ExpiringMap<string>(UNUSED_MS);
  readonly #chains: ExpiringMap<Chain>;
  readonly #published = new ExpiringMap<string>(IDEMPOTENCY_MS);
  readonly #listeners = new Map<string, ChannelListener>();
  #closed = false;

  constructor(private readonly history: History | false = HISTORY_DEFAULTS) {
    super();
    const { maxAgeMs } = history || HISTORY_DEFAULTS;
    this.#positions = new ExpiringMap(Math.max(POSITION_MS, 2 * maxAgeMs));
    this.#chains = new ExpiringMap(maxAgeMs);
  }

  async publish(channel: string, publication: Publication): Promise<string> {
    if (this.#closed) throw closedError();
    this.#expire();
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

  async read(channel: string, positions: readonly string[], limit: number): Promise<Page> {
    this.#expire();
    const tip = this.#tip(channel);
    const chain = this.#chains.get(channel);
    const found = chain?.find(positions, tip) ?? positions.find((position) => position === tip);
    if (found === undefined) return { tip, events: [], end: tip };
    const events = chain?.after(found, limit) ?? [];
    return { tip, after: found, events, end: events.at(-1)?.cursor ?? tip };
  }

  /** Loses what is kept of a channel, and interrupts its subscription: for tests of what follows from that. */
  forget(channel: string): void {
    this.#chains.set(channel, new Chain());
    this.#positions.set(channel, nextCursor(this.#tip(channel)));
    const listener = this.#listeners.get(channel);
    listener?.onInterrupted();
    if (listener) this.subscribe(channel, listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
  }

  #store(channel: string, body: string, id: string | undefined): string {
    const { maxEvents, maxAgeMs } = channel === CONTROL_CHANNEL ? CONTROL_KEEPS : (this.history as History);
    const prev = this.#tip(channel);
    const cursor = nextCursor(prev);
    const chain = this.#chains.get(channel) ?? new Chain();
    const reused = chain.has(id);
    const text = completeBody(body, { cursor, prev, id, reused });
    chain.push(cursor, text);
    chain.trim(maxEvents, Date.now() - maxAgeMs);
    if (id !== undefined && !reused) chain.index(id, cursor, maxEvents);
    this.#chains.set(channel, chain);
    this.#positions.set(channel, cursor);
    this.#send(channel, text);
    return id ?? cursor;
  }

  /** A channel without events is given a cursor that marks its beginning. */
  #tip(channel: string): string {
    const known = this.#positions.get(channel);
    const tip = known ?? this.#beginnings.get(channel) ?? nextCursor(undefined);
    (known === undefined ? this.#beginnings : this.#positions).set(channel, tip);
    return tip;
  }

  #expire(): void {
    for (const map of [this.#positions, this.#beginnings, this.#chains, this.#published]) map.expire();
  }

  /** In a microtask, so that an event published from within a subscriber comes after the one being delivered. */
  #send(channel: string, text: string): void {
    const listener = this.#listeners.get(channel);
    queueMicrotask(() => {
      if (listener && this.#listeners.get(channel) === listener) listener.onMessage(text);
    });
  }
}

/** The events that are kept of one channel. */
class Chain {
  readonly #events: { cursor: string; text: string }[] = [];
  /** Publishers' own ids to cursors; in two generations, so that those of events long gone are forgotten. */
  #ids = new Map<string, string>();
  #olderIds = new Map<string, string>();

  /** Whether the id is that of an event that is kept. */
  has(id: string | undefined): boolean {
    return id !== undefined && this.#cursorsOf(id).some((cursor) => this.#isKept(cursor));
  }

  push(cursor: string, text: string): void {
    this.#events.push({ cursor, text });
  }

  trim(maxEvents: number, sinceMs: number): void {
    const isOld = ({ cursor }: { cursor: string }) => Number(cursor.split('-')[0]) < sinceMs;
    while (this.#events.length > maxEvents || (this.#events.length > 0 && isOld(this.#events[0]!))) {
      this.#events.shift();
    }
  }

  index(id: string, cursor: string, maxEvents: number): void {
    if (this.#ids.size >= maxEvents) {
      this.#olderIds = this.#ids;
      this.#ids = new Map();
    }
    this.#ids.set(id, cursor);
  }

  /** The first of the positions that is known, as a cursor. */
  find(positions: readonly string[], tip: string): string | undefined {
    const oldest = this.#events[0];
    const trimmed = oldest && decodeMessage(oldest.text)?.prev;
    return positions
      .map((position) => (position === OLDEST ? (trimmed ?? tip) : position))
      .flatMap((position) => [position, ...this.#cursorsOf(position)])
      .find((cursor) => cursor === tip || cursor === trimmed || this.#isKept(cursor));
  }

  after(position: string, limit: number): StoredEvent[] {
    const events: StoredEvent[] = [];
    let size = 0;
    for (let index = this.#indexAfter(position); index < this.#events.length; index++) {
      if (events.length >= limit || size >= PAGE_BYTES) break;
      const { text } = this.#events[index]!;
      events.push(decodeMessage(text) as StoredEvent);
      size += text.length;
    }
    return events;
  }

  #isKept(cursor: string): boolean {
    return isCursor(cursor) && this.#events[this.#indexAfter(cursor) - 1]?.cursor === cursor;
  }

  #indexAfter(cursor: string): number {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareCursors(this.#events[middle]!.cursor, cursor) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #cursorsOf(id: string): string[] {
    return [this.#olderIds.get(id), this.#ids.get(id)].filter((cursor) => cursor !== undefined);
  }
}

/** Values that are forgotten some time after they were last set. As that time is one for all, the oldest go first. */
class ExpiringMap<T> {
  readonly #entries = new Map<string, { value: T; expires: number }>();

  constructor(private readonly ttlMs: number) {}

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.expires > Date.now() ? entry.value : undefined;
  }

  expire(): void {
    for (const [oldest, { expires }] of this.#entries) {
      if (expires > Date.now()) return;
      this.#entries.delete(oldest);
    }
  }

  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expires: Date.now() + this.ttlMs });
  }
}

/** The rule of `publish.lua`: the clock, or the last cursor's millisecond where the clock went back. */
function nextCursor(prev: string | undefined): string {
  const [prevMs, prevN] = prev === undefined ? [0, 0] : (prev.split('-').map(Number) as [number, number]);
  const now = Date.now();
  return now > prevMs ? `${now}-${randomInt(2 ** 20)}` : `${prevMs}-${prevN + 1}`;
}

import {
  type BrokerState,
  type ChannelListener,
  type Page,
  type ReplayBounds,
  SseBroker,
} from '../../src/broker/broker.js';
import { MemorySseBroker } from '../../src/broker/memory/memory.broker.js';
import type { StoredEvent } from '../../src/event/message.js';
import { isCursor } from '../../src/event/event.js';

/** A minimal store of one channel: the contract of `SseBroker`, and faults of stores. */
export class ModelStore {
  events: StoredEvent[] = [];
  /** All events ever stored, by cursor. */
  readonly published = new Map<string, StoredEvent>();
  readonly brokers: ModelBroker[] = [];
  /** Whether a fault happened after which clients may get a reset. */
  damaged = false;
  hasLostWrites = false;
  #count = 0;
  #tip: string | undefined;

  get tip(): string {
    return (this.#tip ??= this.events.at(-1)?.cursor ?? this.#nextCursor());
  }

  publish(id?: string): StoredEvent {
    const prev = this.tip;
    const cursor = this.#nextCursor();
    const event = { json: `"event ${cursor}"`, id: id ?? cursor, cursor, prev, size: 50 };
    this.events.push(event);
    this.published.set(cursor, event);
    this.#tip = cursor;
    for (const broker of this.brokers) broker.send(event);
    return event;
  }

  read(positions: readonly string[], limit: number, bounds?: ReplayBounds): Page {
    const { tip } = this;
    const known = positions
      .map((position) => this.cursorOf(position))
      .find((cursor) => cursor === tip || cursor === this.events[0]?.prev || this.indexOf(cursor) >= 0);
    if (known === undefined) return { tip, events: [], end: tip };
    const from = known === this.events[0]?.prev ? 0 : this.indexOf(known) + 1;
    const all = known === tip ? [] : this.events.slice(from);
    const size = all.reduce((sum, event) => sum + event.size, 0);
    if (bounds && (all.length > bounds.events || size > bounds.size)) {
      return { tip, after: known, events: [], end: tip, isTooMuch: true };
    }
    const events = all.slice(0, limit);
    return { tip, after: known, events, end: events.at(-1)?.cursor ?? tip };
  }

  cursorOf(position: string): string | undefined {
    return isCursor(position) ? position : this.events.find(({ id }) => id === position)?.cursor;
  }

  indexOf(cursor: string | undefined): number {
    return this.events.findIndex((event) => event.cursor === cursor);
  }

  trim(count: number): void {
    this.damaged ||= this.events.length > 0 && count > 0;
    this.events.splice(0, count);
  }

  /** A replica without the last events takes over. */
  loseWrites(count: number): void {
    this.damaged = this.hasLostWrites = true;
    this.events.splice(Math.max(0, this.events.length - count));
    this.#tip = this.events.at(-1)?.cursor ?? this.#tip;
  }

  evictMeta(): void {
    this.damaged ||= this.events.length === 0;
    this.#tip = undefined;
  }

  flush(): void {
    this.damaged = true;
    this.events = [];
    this.#tip = undefined;
  }

  #nextCursor(): string {
    return `1763884800000-${++this.#count}`;
  }
}

/** The connection of one process to the store. The test decides which messages arrive, and when. */
export class ModelBroker extends SseBroker {
  state: BrokerState = 'up';
  /** The model is of channels. */
  readonly streams = new MemorySseBroker().streams;
  readonly tickets = new MemorySseBroker().tickets;
  listener: ChannelListener | undefined;
  subscribed = false;
  /** Messages in flight. */
  pending: string[] = [];
  /** Reads that will fail. */
  failures = 0;
  reads = 0;
  /** Reads wait for `release()`. */
  held = false;
  #release: (() => void)[] = [];

  constructor(
    private readonly store: ModelStore,
    private readonly pageSize = Infinity,
  ) {
    super();
    store.brokers.push(this);
  }

  publish = () => Promise.reject(new Error('The store publishes'));
  publishAll = () => Promise.reject(new Error('The store publishes'));
  close = () => Promise.resolve();

  subscribe(_channel: string, listener: ChannelListener): void {
    this.listener = listener;
  }

  unsubscribe(): void {
    this.listener = undefined;
  }

  connect(): void {
    if (this.subscribed) return;
    this.subscribed = true;
    this.listener?.onSubscribed();
  }

  interrupt(): void {
    if (!this.subscribed) return;
    this.subscribed = false;
    this.pending = [];
    this.listener?.onInterrupted();
  }

  async read(
    _channel: string,
    positions: readonly string[],
    limit: number,
    bounds?: ReplayBounds,
  ): Promise<Page> {
    this.reads++;
    if (this.failures > 0) {
      this.failures--;
      throw new Error('This read fails');
    }
    // As over a network, it arrives after the current turn.
    await Promise.resolve();
    const page = this.store.read(positions, Math.min(limit, this.pageSize), bounds);
    if (this.held) await new Promise<void>((resolve) => this.#release.push(resolve));
    return page;
  }

  release(): void {
    this.held = false;
    for (const release of this.#release.splice(0)) release();
  }

  send({ json, ...rest }: Pick<StoredEvent, 'json'> & Partial<StoredEvent>): void {
    if (this.subscribed) this.pending.push(`{"data":${json},${JSON.stringify(rest).slice(1)}`);
  }

  deliver(count = Infinity): void {
    for (const text of this.pending.splice(0, count)) this.listener?.onMessage(text);
  }
}

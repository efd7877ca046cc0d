import type { ChannelEvent } from './channel-event.js';

/** Bounds of the recent events of a channel that a process keeps in memory, for clients that reconnect soon. */
export interface RingBounds {
  readonly maxEvents: number;
  /** Characters of the messages. */
  readonly maxSize: number;
}

const BOUNDS: RingBounds = { maxEvents: 256, maxSize: 262_144 };

/** Bound on the characters of all rings of a process together. */
export class RingBudget {
  used = 0;

  constructor(readonly max = 67_108_864) {}
}

/** The most recent events of a channel, in order of delivery, without a gap after `start`. */
export class Ring {
  #events: ChannelEvent[] = [];
  /** How many events were in the ring at the last call of `age()`. */
  #aged = 0;
  #size = 0;
  /** The position before the oldest event. */
  #start = '';

  constructor(
    private readonly bounds = BOUNDS,
    private readonly budget = new RingBudget(),
  ) {}

  /** The position of the newest event. Live subscribers need nothing before it. If the store has lost that event, it is not the tip. */
  get end(): string {
    return this.#events.at(-1)?.cursor ?? this.#start;
  }

  has(cursor: string): boolean {
    return this.#events.some((event) => event.cursor === cursor);
  }

  /** The events after a position (a cursor, or a publisher's id), or undefined if the ring does not reach back to it. */
  after(position: string): ChannelEvent[] | undefined {
    if (position === this.#start) return this.#events.slice();
    // Where two have one id, the earlier counts: rather twice than never.
    const place = this.#events.findIndex(({ cursor, ownId }) => cursor === position || ownId === position);
    return place < 0 ? undefined : this.#events.slice(place + 1);
  }

  push(event: ChannelEvent): void {
    const last = this.#events.at(-1);
    // All live subscribers have it. A replay encodes it again; until then the ring holds the text alone.
    if (last) last.encoded = undefined;
    this.#events.push(event);
    this.#resize(event.size);
    const { maxEvents, maxSize } = this.bounds;
    while (this.#events.length > maxEvents || this.#size > maxSize || this.#isOverBudget()) this.#shift();
  }

  /** Evicts the events that were in the ring at the last call. Clients that reconnect later than that read the history. */
  age(): void {
    while (this.#aged > 0) this.#shift();
    this.#aged = this.#events.length;
  }

  /** Takes in older events that follow `after`, as many as there is room for, if they lead up to the oldest one. */
  prepend(after: string, events: readonly ChannelEvent[]): void {
    const { maxEvents, maxSize } = this.bounds;
    let index = events.findIndex(({ cursor }) => cursor === this.#start);
    for (; index >= 0; index--) {
      const event = events[index]!;
      if (this.#events.length >= maxEvents || this.#size + event.size > maxSize) return;
      if (this.budget.used + event.size > this.budget.max) return;
      this.#events.unshift(event);
      this.#resize(event.size);
      this.#start = events[index - 1]?.cursor ?? after;
    }
  }

  clear(start: string): void {
    this.#resize(-this.#size);
    this.#events = [];
    this.#aged = 0;
    this.#start = start;
  }

  /** Positions from the newest to the oldest, few but all over the ring. */
  positions(): string[] {
    const positions: string[] = [];
    for (let back = 1; back <= this.#events.length; back *= 2) positions.push(this.#events.at(-back)!.cursor);
    if (this.#events.length > 0) positions.push(this.#events[0]!.cursor);
    return [...new Set([...positions, this.#start])];
  }

  #isOverBudget(): boolean {
    return this.#events.length > 0 && this.budget.used > this.budget.max;
  }

  #shift(): void {
    const { cursor, size } = this.#events.shift()!;
    this.#resize(-size);
    this.#aged = Math.max(0, this.#aged - 1);
    this.#start = cursor;
  }

  #resize(by: number): void {
    this.#size += by;
    this.budget.used += by;
  }
}

import type { ChannelEvent } from './channel-event.js';

/** Bounds of what a process holds of each channel it is subscribed to, for clients that come back soon. */
export interface RingBounds {
  readonly maxEvents: number;
  /** Characters of the JSON that the events came in. */
  readonly maxSize: number;
}

const BOUNDS: RingBounds = { maxEvents: 256, maxSize: 262_144 };

/** The most recent events of a channel, as they were delivered: without a gap after `start`. */
export class Ring {
  #events: ChannelEvent[] = [];
  /** Places of cursors and of publishers' own ids, counted from the first event there ever was. */
  readonly #places = new Map<string, number>();
  #first = 0;
  #size = 0;
  /** The position before the oldest event. */
  #start = '';

  constructor(private readonly bounds = BOUNDS) {}

  has(cursor: string): boolean {
    return this.#places.has(cursor);
  }

  /** The events behind a position (a cursor, or a publisher's id), or undefined where the ring does not reach. */
  after(position: string): ChannelEvent[] | undefined {
    if (position === this.#start) return this.#events.slice();
    const place = this.#places.get(position);
    return place === undefined ? undefined : this.#events.slice(place - this.#first + 1);
  }

  push(event: ChannelEvent): void {
    this.#index(event, this.#first + this.#events.length);
    this.#events.push(event);
    const { maxEvents, maxSize } = this.bounds;
    while (this.#events.length > maxEvents || this.#size > maxSize) this.#shift();
  }

  /** Takes in older events that follow `after`, as many as there is room for, if they lead up to the oldest one. */
  prepend(after: string, events: readonly ChannelEvent[]): void {
    const { maxEvents, maxSize } = this.bounds;
    let index = events.findIndex(({ cursor }) => cursor === this.#start);
    for (; index >= 0; index--) {
      const event = events[index]!;
      if (this.#events.length >= maxEvents || this.#size + event.size > maxSize) return;
      this.#index(event, --this.#first);
      this.#events.unshift(event);
      this.#start = events[index - 1]?.cursor ?? after;
    }
  }

  clear(start: string): void {
    this.#events = [];
    this.#places.clear();
    this.#size = 0;
    this.#start = start;
  }

  /** Positions from the newest to the oldest, few but all over the ring. */
  positions(): string[] {
    const positions: string[] = [];
    for (let back = 1; back <= this.#events.length; back *= 2) positions.push(this.#events.at(-back)!.cursor);
    if (this.#events.length > 0) positions.push(this.#events[0]!.cursor);
    return [...new Set([...positions, this.#start])];
  }

  #index({ cursor, ownId, size }: ChannelEvent, place: number): void {
    this.#places.set(cursor, place);
    // Where two have one id, the earlier counts: rather twice than never.
    if (ownId !== undefined && (this.#places.get(ownId) ?? Infinity) > place) this.#places.set(ownId, place);
    this.#size += size;
  }

  #shift(): void {
    const { cursor, ownId, size } = this.#events.shift()!;
    this.#places.delete(cursor);
    if (ownId !== undefined && this.#places.get(ownId) === this.#first) this.#places.delete(ownId);
    this.#first++;
    this.#size -= size;
    this.#start = cursor;
  }
}

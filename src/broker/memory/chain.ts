import { compareCursors, isCursor } from '../../event/event.js';
import { COUNTED, OLDEST, PAGE_BYTES, type ReplayBounds } from '../broker.js';
import { decodeMessages, type StoredEvent } from '../../event/message.js';

interface Entry {
  readonly cursor: string;
  readonly prev: string;
  readonly text: string;
  /** When it was stored, by a monotonic clock. */
  readonly at: number;
}

/** The stored events of one channel. */
export class Chain {
  /** The first `#start` entries are evicted. */
  #entries: Entry[] = [];
  #start = 0;
  /** Publishers' own ids to cursors; in two generations, so that ids of evicted events are removed. */
  #ids = new Map<string, string>();
  #olderIds = new Map<string, string>();

  /** Whether a stored event has the id. */
  has(id: string | undefined): boolean {
    return id !== undefined && this.#cursorsOf(id).some((cursor) => this.#isKept(cursor));
  }

  push({ cursor, prev, text }: Omit<Entry, 'at'>): void {
    this.#entries.push({ cursor, prev, text, at: performance.now() });
  }

  /** Evicts old events, in constant time for each. */
  trim(maxEvents: number, maxAgeMs: number): void {
    const since = performance.now() - maxAgeMs;
    const { length } = this.#entries;
    this.#start = Math.max(this.#start, length - maxEvents);
    while (this.#start < length && this.#entries[this.#start]!.at < since) this.#start++;
    if (2 * this.#start <= length) return;
    this.#entries = this.#entries.slice(this.#start);
    this.#start = 0;
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
    const trimmed = this.#entries[this.#start]?.prev;
    return positions
      .map((position) => (position === OLDEST ? (trimmed ?? tip) : position))
      .flatMap((position) => [position, ...this.#cursorsOf(position)])
      .find((cursor) => cursor === tip || cursor === trimmed || this.#isKept(cursor));
  }

  /** Whether more events follow a position than the bounds allow. */
  exceeds(position: string, { events, size }: ReplayBounds): boolean {
    const first = this.#indexAfter(position);
    if (this.#entries.length - first > events) return true;
    let total = 0;
    for (let index = first; index < this.#entries.length; index++) total += this.#entries[index]!.text.length;
    return total > size;
  }

  /** The position before as many of the newest events as the bounds allow. */
  newest(count: number, { events, size }: ReplayBounds): { after?: string; isTruncated?: true } {
    const last = this.#entries.length;
    let [first, total] = [last, 0];
    while (first > this.#start && last - first < Math.min(count, events, COUNTED.events)) {
      total += this.#entries[first - 1]!.text.length;
      if (total > Math.min(size, COUNTED.size)) break;
      first--;
    }
    const isTruncated = (first > this.#start && last - first < count) || undefined;
    return { after: this.#entries[first]?.prev ?? this.#entries.at(-1)?.cursor, isTruncated };
  }

  after(position: string, limit: number): StoredEvent[] {
    const events: StoredEvent[] = [];
    let size = 0;
    for (let index = this.#indexAfter(position); index < this.#entries.length; index++) {
      if (events.length >= limit || size >= PAGE_BYTES) break;
      const { text } = this.#entries[index]!;
      events.push(...(decodeMessages(text) as StoredEvent[]));
      size += text.length;
    }
    return events;
  }

  #isKept(cursor: string): boolean {
    const index = this.#indexAfter(cursor) - 1;
    return isCursor(cursor) && index >= this.#start && this.#entries[index]!.cursor === cursor;
  }

  #indexAfter(cursor: string): number {
    let [low, high] = [this.#start, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareCursors(this.#entries[middle]!.cursor, cursor) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #cursorsOf(id: string): string[] {
    return [this.#olderIds.get(id), this.#ids.get(id)].filter((cursor) => cursor !== undefined);
  }
}

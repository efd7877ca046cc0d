import type { StreamPack } from '../broker/streams.js';

/** Bounds of a pack: events, and characters of their JSON. */
const [PACK_EVENTS, PACK_SIZE] = [64, 131_072];
/** How many characters one call stores. */
const CALL_SIZE = 1_048_576;

interface Pack {
  readonly events: string[];
  size: number;
  /** Whether it was sent: a repeated call has to send the same. */
  isSealed: boolean;
}

/** The events of a stream that are not confirmed, in packs. */
export class Packs {
  readonly #all: Pack[] = [];
  #size = 0;

  /** Characters of their JSON. */
  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Whether there are no more than these. */
  hasOnly(count: number): boolean {
    return this.#all.length === count;
  }

  /** Whether a pack takes no more events, so that waiting gains nothing. */
  get hasFull(): boolean {
    const [first] = this.#all;
    return first !== undefined && (this.#all.length > 1 || isFull(first));
  }

  push(event: string): void {
    let pack = this.#all.at(-1);
    if (!pack || pack.isSealed || isFull(pack) || pack.size + event.length > PACK_SIZE) {
      pack = { events: [], size: 0, isSealed: false };
      this.#all.push(pack);
    }
    pack.events.push(event);
    pack.size += event.length;
    this.#size += event.length;
  }

  /** The packs for the next call. They are kept until `confirm()`. */
  seal(): StreamPack[] {
    const packs: StreamPack[] = [];
    let size = 0;
    for (const pack of this.#all) {
      if (packs.length > 0 && size + pack.size > CALL_SIZE) break;
      pack.isSealed = true;
      size += pack.size;
      packs.push({ count: pack.events.length, events: `[${pack.events.join(',')}]` });
    }
    return packs;
  }

  /** The first packs are stored. */
  confirm(count: number): void {
    for (const { size } of this.#all.splice(0, count)) this.#size -= size;
  }
}

const isFull = ({ events, size }: Pack): boolean => events.length >= PACK_EVENTS || size >= PACK_SIZE;

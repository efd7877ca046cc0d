import { Batch } from './batch.js';

/** What has something to send when this turn of the event loop has ended. */
export interface Outgoing {
  /** Must not throw. */
  flush(): void;
}

/**
 * Collects, for all streams of a process, what one turn of the event loop brings.
 *
 * It is sent when all input that was there has been read (`setImmediate`): what Redis sends in one go is read by Node
 * in blocks of 64 KiB, and a write per block and client would cost more than the blocks do.
 */
export class Outbox {
  #start = new Batch();
  #waiting: Outgoing[] = [];

  /** Where the first frame that a stream gets in a turn goes. */
  begin(stream: Outgoing): Batch {
    if (this.#waiting.push(stream) === 1) setImmediate(() => this.#flush());
    return this.#start;
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#start = new Batch();
    for (const stream of waiting) stream.flush();
  }
}

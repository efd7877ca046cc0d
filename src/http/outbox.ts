import { Batch } from './batch.js';

/** A response with frames to send at the end of this turn of the event loop. */
export interface Outgoing {
  /** Must not throw. */
  flush(): void;
}

/**
 * Collects the frames of one turn of the event loop, for all responses of a process.
 *
 * They are sent when all available input has been read (`setImmediate`): Node reads a burst from Redis
 * in blocks of 64 KiB, and one write per block and client would cost more than reading the blocks.
 */
export class Outbox {
  #start = new Batch();
  #waiting: Outgoing[] = [];

  /** The batch for the first frame of a response in this turn. */
  begin(response: Outgoing): Batch {
    if (this.#waiting.push(response) === 1) setImmediate(() => this.#flush());
    return this.#start;
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#start = new Batch();
    for (const response of waiting) response.flush();
  }
}

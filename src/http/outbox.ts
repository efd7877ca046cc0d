import { type Batch, SharedBatch } from './batch.js';

/** A response with frames to send. */
export interface Outgoing {
  /** The interval of its outbox in which the outbox last wrote it. */
  writtenIn: number;
  /** Must not throw. */
  flush(): void;
}

/** Responses that are written together. Responses that get the same frames share batches. */
class Round {
  #start = new SharedBatch();
  #waiting: Outgoing[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** @returns the batch for the first frame of the response */
  add(response: Outgoing): Batch {
    this.#waiting.push(response);
    return this.#start;
  }

  flush(interval: number): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#start = new SharedBatch();
    for (const response of waiting) {
      response.writtenIn = interval;
      response.flush();
    }
  }
}

/**
 * Collects the frames of one turn of the event loop, for all responses of a process, or of an interval.
 *
 * Frames of a turn are sent when all available input has been read (`setImmediate`): Node reads a burst from Redis
 * in blocks of 64 KiB, and one write per block and client would cost more than reading the blocks.
 *
 * With an interval, one clock runs while there is something to send. A response that the outbox has written since the last tick waits for the
 * next one. All others are written at the end of the turn, so that the first event after a silence is not delayed. Responses that
 * catch up from the history, or end, write in between, too.
 */
export class Outbox {
  readonly #turn = new Round();
  readonly #late = new Round();
  #interval = 1;
  #clock: NodeJS.Timeout | undefined;

  constructor(private readonly intervalMs = 0) {}

  /** The batch for the first frame of a response in this turn, or interval. */
  begin(response: Outgoing): Batch {
    const isLate = this.#clock !== undefined && response.writtenIn === this.#interval;
    return isLate ? this.#late.add(response) : this.#atOnce(response);
  }

  /**
   * Writes a response that has much to send at the end of the turn, so the memory for frames is bounded. It stays in the round of the
   * interval, where it has nothing left to flush.
   */
  hurry(response: Outgoing): void {
    if (this.#clock) this.#atOnce(response);
  }

  #atOnce(response: Outgoing): Batch {
    if (this.#turn.isEmpty) setImmediate(() => this.#endTurn());
    return this.#turn.add(response);
  }

  #endTurn(): void {
    if (this.intervalMs > 0) this.#clock ??= setTimeout(() => this.#tick(), this.intervalMs).unref();
    this.#turn.flush(this.#interval);
  }

  #tick(): void {
    this.#interval++;
    if (this.#late.isEmpty) {
      this.#clock = undefined;
      return;
    }
    this.#clock!.refresh();
    this.#late.flush(this.#interval);
  }
}

import { setTimeout as sleep } from 'node:timers/promises';

/** How long a measurement is used. */
const VALID_MS = 60_000;
const RETRY_MS = [10, 1_000] as const;

/**
 * Estimates by how much the clock of this node is ahead of the broker's, at most. Credentials are dated by the clocks of nodes,
 * disconnections by the broker's.
 */
export class ClockSkew {
  #skewMs = Infinity;
  #measuredAt = -Infinity;

  /** @param brokerTime reads the clock of the broker */
  constructor(
    private readonly brokerTime: () => Promise<number>,
    private readonly onError: (error: Error) => void,
  ) {}

  get isStale(): boolean {
    return this.#skewMs === Infinity || Date.now() - this.#measuredAt >= VALID_MS;
  }

  /** @param time when a message was sent, by the clock of the broker @returns the same by the clock of this node */
  toLocal(time: number): number {
    // No message arrives before it was sent, so the smallest difference is the best estimate.
    this.#skewMs = Math.min(this.#skewMs, Date.now() - time);
    return time + this.#skewMs;
  }

  /** Retries until it succeeds, or is not wanted any more. */
  async measure(isWanted: () => boolean): Promise<void> {
    const [first, last] = RETRY_MS;
    this.#measuredAt = Date.now();
    for (let delay: number = first; isWanted(); delay = Math.min(2 * delay, last)) {
      try {
        const time = await this.brokerTime();
        this.#measuredAt = Date.now();
        this.#skewMs = this.#measuredAt - time;
        return;
      } catch (error) {
        this.onError(error as Error);
        await sleep(delay * (1 + Math.random()), undefined, { ref: false });
      }
    }
    this.#measuredAt = -Infinity;
  }
}

import { FailureLog } from '../limiter.js';
import { causeOf } from '../sse.errors.js';

/** Whether a channel is live in this process, and who waits for that. */
export class Liveness {
  readonly #waiting = new Set<() => void>();
  #live = false;

  constructor(protected readonly failures = new FailureLog()) {}

  get live(): boolean {
    return this.#live;
  }

  /**
   * Calls back once, as soon as the channel is live; what arrives after that call is still to be delivered. Returns
   * what takes it back.
   */
  whenLive(callback: () => void): () => void {
    if (this.#live) callback();
    else this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** Resolves when the channel is live. */
  async untilLive(): Promise<void> {
    while (!this.#live) await new Promise<void>((resolve) => this.whenLive(resolve));
  }

  /** Calls each of those who wait, once; one that fails does not keep it from the others. */
  begin(): void {
    this.#live = true;
    for (const callback of this.#waiting) {
      this.#waiting.delete(callback);
      try {
        callback();
      } catch (error) {
        const cause = causeOf(error);
        this.failures.error(cause, `A connection failed as its channel came to life: ${cause}`);
      }
    }
  }

  interrupt(): void {
    this.#live = false;
  }

  /** Nobody is called any more. */
  end(): void {
    this.#live = false;
    this.#waiting.clear();
  }
}

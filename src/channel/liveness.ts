import { Logger } from '@nestjs/common';

/** Whether a channel is live in this process, and who waits for that. */
export class Liveness {
  readonly #logger = new Logger('SseModule');
  readonly #waiting = new Set<() => void>();
  #live = false;

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

  /** Calls each of those who wait, once; one that fails does not keep it from the others. */
  begin(): void {
    this.#live = true;
    for (const callback of this.#waiting) {
      this.#waiting.delete(callback);
      try {
        callback();
      } catch (error) {
        this.#logger.error(error);
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

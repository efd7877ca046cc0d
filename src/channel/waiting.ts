import { Logger } from '@nestjs/common';

/** Callbacks that wait for a channel to be live. */
export class Waiting {
  readonly #logger = new Logger('SseModule');
  readonly #callbacks = new Set<() => void>();

  /** @returns what takes it back */
  add(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Calls each of them, once; one that fails does not keep it from the others. */
  wake(): void {
    for (const callback of this.#callbacks) {
      this.#callbacks.delete(callback);
      try {
        callback();
      } catch (error) {
        this.#logger.error(error);
      }
    }
  }

  clear(): void {
    this.#callbacks.clear();
  }
}

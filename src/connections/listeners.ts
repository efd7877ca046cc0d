import { FailureLog } from '../common/failure-log.js';
import { inputError, reasonOf } from '../common/sse.errors.js';

/** The application's listeners for one kind of event of connections. */
export class Listeners<T extends object> {
  readonly #failures = new FailureLog();
  readonly #all = new Set<(occasion: T) => unknown>();

  constructor(private readonly name: string) {}

  /**
   * @returns a function that removes the listener
   * @throws SseError `SSE_INPUT`
   */
  add(listener: (occasion: T) => unknown): () => void {
    if (typeof listener !== 'function') throw inputError('listener', 'a function', listener);
    // The same function may be added twice and removed once.
    const own = (occasion: T) => listener(occasion);
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  /** Calls all listeners. Their errors and rejections are logged. */
  call(occasionOf: () => T): void {
    if (this.#all.size === 0) return;
    const occasion = Object.freeze(occasionOf());
    for (const listener of Array.from(this.#all)) void this.#call(listener, occasion);
  }

  async #call(listener: (occasion: T) => unknown, occasion: T): Promise<void> {
    try {
      await listener(occasion);
    } catch (error) {
      const line = `A listener of ${this.name} failed: ${reasonOf(error)}`;
      this.#failures.error(line, line);
    }
  }
}

/** Runs a bounded number of tasks at a time; the others wait, in the order they came. */
export class Limiter {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(private readonly max: number) {}

  /** Whether as many run as there may. */
  get isBusy(): boolean {
    return this.#running >= this.max;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.isBusy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}

/** So many a second, and up to what five seconds have left over. */
export class Bucket {
  #left: number;
  #since = performance.now();

  constructor(private readonly perSecond: number) {
    this.#left = 5 * perSecond;
  }

  /** Takes so many, which may be more than there can be: then all that there can be, and the rest in advance. */
  take(count = 1): boolean {
    const now = performance.now();
    const most = 5 * this.perSecond;
    this.#left = Math.min(most, this.#left + ((now - this.#since) / 1_000) * this.perSecond);
    this.#since = now;
    if (this.#left < Math.min(count, most)) return false;
    this.#left -= count;
    return true;
  }
}

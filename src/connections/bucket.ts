/** A token bucket: allows a rate per second, and a burst of five seconds' worth. */
export class Bucket {
  #left: number;
  #since = performance.now();

  constructor(private readonly perSecond: number) {
    this.#left = 5 * perSecond;
  }

  /** Takes tokens. A full bucket also allows more than it holds; later seconds make up for it. */
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

/**
 * Values that are forgotten some time after they were last set, whatever the clock of the machine does meanwhile. As that time is
 * one for all, the oldest go first.
 */
export class ExpiringMap<T> {
  readonly #entries = new Map<string, { value: T; expires: number }>();

  constructor(private readonly ttlMs: number) {}

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.expires > performance.now() ? entry.value : undefined;
  }

  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expires: performance.now() + this.ttlMs });
  }

  /** Frees what is forgotten. */
  expire(): void {
    const now = performance.now();
    for (const [oldest, { expires }] of this.#entries) {
      if (expires > now) return;
      this.#entries.delete(oldest);
    }
  }
}

/**
 * A map whose values expire a fixed time after they were last set, by a monotonic clock. As that time is the same for all, the
 * oldest expire first.
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

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Frees the expired values. */
  expire(): void {
    const now = performance.now();
    for (const [oldest, { expires }] of this.#entries) {
      if (expires > now) return;
      this.#entries.delete(oldest);
    }
  }
}

import { Logger } from '@nestjs/common';

/** How long a kind of failure is not logged again, in ms, and how many kinds are remembered. */
const QUIET_MS = 60_000;
const MAX_KINDS = 100;

/** Logs failures that may occur with every event or request: one line a minute for each kind. */
export class FailureLog {
  readonly #logger = new Logger('SseModule');
  readonly #kinds = new Map<string, { since: number; more: number }>();

  /** @param kind identifies the kind. Clients and publishers must not be able to create new ones */
  error(kind: string, line: unknown): void {
    const now = performance.now();
    const last = this.#kinds.get(kind);
    if (last && now - last.since < QUIET_MS) {
      last.more++;
      return;
    }
    const [[oldest, { since }] = [kind, { since: 0 }]] = this.#kinds;
    if (!last && this.#kinds.size >= MAX_KINDS) {
      if (now - since < QUIET_MS) return;
      this.#kinds.delete(oldest);
    }
    // To the end: the first kind is the one that was logged the longest ago.
    this.#kinds.delete(kind);
    this.#kinds.set(kind, { since: now, more: 0 });
    this.#logger.error(last?.more ? `${String(line)} (and ${last.more} times before)` : line);
  }
}

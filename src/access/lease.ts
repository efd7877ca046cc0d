import type { SseAccess } from './access.js';
import type { Connection } from './connections.js';

/** How long before its credential's end a stream ends at most, in ms: what was issued together is not to end together. */
const MAX_LEAD_MS = 30_000;
/** Beyond it, timers of Node go off at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** The permission of one stream: has it renewed, and ends the stream with it. */
export class Lease {
  access: SseAccess;
  #expiry: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    private readonly connection: Pick<Connection, 'access' | 'renew' | 'end'>,
    private readonly revalidateMs: number,
  ) {
    this.access = connection.access;
    this.#start();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#expiry);
    clearTimeout(this.#renewal);
  }

  #start(): void {
    clearTimeout(this.#expiry);
    const { expiresAt } = this.access;
    if (expiresAt) {
      const left = expiresAt.getTime() - Date.now();
      const wait = Math.max(0, left - Math.random() * Math.min(MAX_LEAD_MS, left / 10));
      // In pieces, where it is longer than a timer can be.
      const work = wait > MAX_TIMER_MS ? () => this.#start() : () => this.connection.end();
      this.#expiry = setTimeout(work, Math.min(wait, MAX_TIMER_MS)).unref();
    }
    if (this.connection.renew && !this.#renewal) {
      const wait = this.revalidateMs * (0.5 + Math.random() / 2);
      this.#renewal = setTimeout(() => void this.#renew(), wait).unref();
    }
  }

  async #renew(): Promise<void> {
    try {
      this.access = await this.connection.renew!();
    } catch {
      this.connection.end();
      return;
    }
    this.#renewal = undefined;
    if (!this.#stopped) this.#start();
  }
}

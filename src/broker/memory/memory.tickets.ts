import { MAX_TICKET_MS, type TicketStore } from '../tickets.js';
import { ExpiringMap } from './expiring-map.js';

/** Tickets in one process. */
export class MemoryTickets implements TicketStore {
  readonly #all = new ExpiringMap<{ value: string; expires: number }>(MAX_TICKET_MS);

  /** @param sweep frees what has expired, from time to time */
  constructor(private readonly sweep: () => void) {}

  async put(name: string, value: string, ttlMs: number): Promise<void> {
    this.sweep();
    if (this.#get(name) !== undefined) return;
    this.#all.set(name, { value, expires: performance.now() + ttlMs });
  }

  async take(name: string): Promise<string | undefined> {
    const value = this.#get(name);
    this.#all.delete(name);
    return value;
  }

  /** Frees the expired tickets. */
  expire(): void {
    this.#all.expire();
  }

  #get(name: string): string | undefined {
    const ticket = this.#all.get(name);
    return ticket && ticket.expires > performance.now() ? ticket.value : undefined;
  }
}

/** How long a ticket may be kept, in ms. By default, `disconnect()` refuses older credentials for as long. */
export const MAX_TICKET_MS = 60_000;

/**
 * The part of a broker that keeps tickets, each until it is taken, and at most for its time to live.
 *
 * Its errors name neither a ticket nor its value: applications log them.
 */
export interface TicketStore {
  /**
   * Keeps a value under a name. Repeating the call does not prolong that. Cost: one SET in Redis.
   *
   * @param ttlMs up to `MAX_TICKET_MS`
   * @throws SseError `SSE_UNAVAILABLE`; the value may then be kept
   */
  put(name: string, value: string, ttlMs: number): Promise<void>;
  /**
   * Removes the value of a name and returns it: of any number of calls on any nodes, one gets it. Cost: one GETDEL in Redis.
   *
   * @returns undefined if nothing is kept under the name
   * @throws SseError `SSE_UNAVAILABLE`; the value may then be lost
   */
  take(name: string): Promise<string | undefined>;
}

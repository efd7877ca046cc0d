import type { ConnectionResponse, OpenConnection, SseEndReason } from './connection.js';

/** Each tick serves one part of the connections: 10,000 writes in one turn of the event loop would delay everything else. */
const PARTS = 16;
/** How long a client may leave bytes unread without reading any, and how often this is checked, in ms. */
const STALL_MS = 30_000;
const CHECK_MS = 2_000;

/** When a connection that opens now reaches its age, by the clock of `performance`: a fifth earlier or later. */
export function dueAt(ageMs: number | false): number {
  return ageMs === false ? Infinity : performance.now() + ageMs * (0.8 + 0.4 * Math.random());
}

/** Sends heartbeats, disconnects clients that read nothing, and closes connections that have reached their age. */
export class Heartbeats {
  /** For connections with unread bytes: since when the client has read nothing. */
  readonly #marks = new WeakMap<OpenConnection, { progress: number; since: number }>();
  #timers: NodeJS.Timeout[] = [];
  #part = 0;

  constructor(
    private readonly connections: Iterable<OpenConnection>,
    private readonly heartbeatMs: number,
    private readonly close: (connection: OpenConnection, reason: SseEndReason) => void,
  ) {}

  start(): void {
    if (this.#timers.length > 0) return;
    this.#timers = [
      setInterval(() => this.#beat(), this.heartbeatMs / PARTS).unref(),
      setInterval(() => this.#check(), CHECK_MS).unref(),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #beat(): void {
    this.#part = (this.#part + 1) % PARTS;
    for (const { number, response } of this.connections) {
      if (number % PARTS === this.#part) response?.heartbeat();
    }
  }

  /** A client that reads slowly stays connected. */
  #check(): void {
    const now = performance.now();
    for (const connection of this.connections) {
      const { response } = connection;
      if (response && this.#isStalled(connection, response, now)) response.disconnectSlow();
      else if (now >= connection.dueAt) this.close(connection, 'age');
    }
  }

  #isStalled(connection: OpenConnection, { pending, progress }: ConnectionResponse, now: number): boolean {
    const mark = this.#marks.get(connection);
    if (pending === 0) this.#marks.delete(connection);
    else if (mark?.progress !== progress) this.#marks.set(connection, { progress, since: now });
    else return now - mark.since >= STALL_MS;
    return false;
  }
}

import type { SseEndReason } from '../access/connection.js';

/** Heartbeats go to a part of the streams at a time: 10,000 writes in one turn would keep everything else waiting. */
const PARTS = 16;
/** How long a client may leave bytes unread without reading any, and how often this is checked, in ms. */
const STALL_MS = 30_000;
const CHECK_MS = 2_000;

/** When a stream that begins now is to be ended, by the clock of `performance`: by a fifth of its age earlier or later. */
export function dueAt(ageMs: number | false): number {
  return ageMs === false ? Infinity : performance.now() + ageMs * (0.8 + 0.4 * Math.random());
}

/** What the clock has to do with a stream. */
export interface OpenStream {
  /** Counts up with the streams of the process. */
  readonly number: number;
  /** Unread bytes. */
  readonly pending: number;
  /** Changes whenever the client has read something. */
  readonly progress: number;
  /** When it is to be ended, by the clock of `performance`. */
  readonly dueAt: number;
  /** Why it has ended, where the clock or the socket has ended it. */
  endReason?: SseEndReason;
  heartbeat(): void;
  cut(): void;
  end(): void;
}

/** The streams that are open in this process, and what is done to them by the clock. */
export class OpenStreams<T extends OpenStream> {
  readonly #all = new Set<T>();
  /** For streams with unread bytes: since when the client has read nothing. */
  readonly #marks = new Map<T, { progress: number; since: number }>();
  #timers: NodeJS.Timeout[] = [];
  #part = 0;

  constructor(private readonly heartbeatMs: number) {}

  add(stream: T): void {
    this.#all.add(stream);
    if (this.#timers.length > 0) return;
    this.#timers = [
      setInterval(() => this.#beat(), this.heartbeatMs / PARTS).unref(),
      setInterval(() => this.#check(), CHECK_MS).unref(),
    ];
  }

  delete(stream: T): void {
    this.#all.delete(stream);
    this.#marks.delete(stream);
    if (this.#all.size > 0) return;
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#all.values();
  }

  #beat(): void {
    this.#part = (this.#part + 1) % PARTS;
    for (const stream of this.#all) {
      if (stream.number % PARTS === this.#part) stream.heartbeat();
    }
  }

  /** Disconnects clients that read nothing. A client that reads slowly stays connected. */
  #check(): void {
    const now = performance.now();
    for (const stream of this.#all) {
      const { progress, pending } = stream;
      const mark = this.#marks.get(stream);
      if (pending === 0) this.#marks.delete(stream);
      else if (mark?.progress !== progress) this.#marks.set(stream, { progress, since: now });
      else if (now - mark.since >= STALL_MS) stream.cut();
      if (now < stream.dueAt) continue;
      stream.endReason = 'age';
      stream.end();
    }
  }
}

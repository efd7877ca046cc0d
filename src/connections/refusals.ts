import { AGAIN_MS, type Disconnection, leftMs, type Reader } from './disconnection.js';

/** How long a disconnection is remembered at least: a decision from before it may still be pending. */
export const PENDING_MS = 600_000;
/** Refusals that may be added before expired ones are removed. */
const SWEEP_AT_LEAST = 1_000;

/** The disconnections with the same target. */
class Refusal {
  heardAt = -Infinity;
  /** Each was made later, and expires earlier, than the one before it. Others are redundant. */
  #disconnections: Disconnection[] = [];

  add(disconnection: Disconnection): void {
    this.heardAt = Math.max(this.heardAt, disconnection.heardAt);
    const { until } = disconnection;
    const isCovered = (one: Disconnection) => one.at <= disconnection.at && one.until <= until;
    this.#disconnections = this.#disconnections.filter((one) => !isCovered(one));
    this.#disconnections.push(disconnection);
  }

  refusedMs(reader: Reader, now: number): number {
    const all = this.#disconnections.map((disconnection) => leftMs(disconnection, reader, now));
    return Math.max(reader.askedAt <= this.heardAt ? AGAIN_MS : 0, ...all);
  }

  isOver(now: number): boolean {
    const until = Math.max(this.heardAt + PENDING_MS, ...this.#disconnections.map((one) => one.until));
    return until <= now;
  }
}

/** The disconnections that may refuse new connections, by target. The cost of a search does not depend on their number. */
export class Refusals {
  /** By user and session, then by channel. */
  readonly #all = new Map<string, Map<string | undefined, Refusal>>();
  #added = 0;
  #sweepAt = SWEEP_AT_LEAST;

  add(disconnection: Disconnection): void {
    const { user, session, channel, connection } = disconnection;
    // Connection ids are not used again.
    if (connection !== undefined) return;
    const key = keyOf(user, session);
    const byChannel = this.#all.get(key) ?? new Map<string | undefined, Refusal>();
    const refusal = byChannel.get(channel) ?? new Refusal();
    refusal.add(disconnection);
    byChannel.set(channel, refusal);
    this.#all.set(key, byChannel);
    if (++this.#added >= this.#sweepAt) this.#sweep();
  }

  /** For how long a connection may not open, in ms. */
  refusedMs(reader: Reader): number {
    const now = Date.now();
    // Disconnections since then may have been removed.
    let refusedMs = reader.askedAt <= now - PENDING_MS ? AGAIN_MS : 0;
    if (this.#all.size === 0) return refusedMs;
    for (const user of [undefined, ...reader.users]) {
      for (const session of [undefined, ...reader.sessions]) {
        const byChannel = this.#all.get(keyOf(user, session));
        if (!byChannel) continue;
        for (const channel of [undefined, ...reader.channels]) {
          refusedMs = Math.max(refusedMs, byChannel.get(channel)?.refusedMs(reader, now) ?? 0);
        }
      }
    }
    return refusedMs;
  }

  /** Visits about as many as were added since the last call, so the cost per disconnection is constant. */
  #sweep(): void {
    const now = Date.now();
    let kept = 0;
    for (const [key, byChannel] of this.#all) {
      for (const [channel, refusal] of byChannel) {
        if (refusal.isOver(now)) byChannel.delete(channel);
        else kept++;
      }
      if (byChannel.size === 0) this.#all.delete(key);
    }
    this.#added = 0;
    this.#sweepAt = Math.max(SWEEP_AT_LEAST, kept);
  }
}

const keyOf = (user?: string, session?: string) => JSON.stringify([user ?? null, session ?? null]);

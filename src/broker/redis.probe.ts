import { randomBytes } from 'node:crypto';
import type { ChannelListener } from './broker.js';

/** Between two probes, and how long one may be on its way, in ms. */
const PROBE_MS = 10_000;
/** How many times as long a new connection is given, once others did not help. */
const MAX_PATIENCE = 10;

/**
 * Finds out whether what is published arrives: a connection may be in good health, and lead to a server on which
 * nobody publishes.
 *
 * It publishes to a channel of its own as events are published, and expects that back on the connection that receives. What
 * Redis has not accepted proves nothing. Cost: one PUBLISH in 10 s and process that has been subscribed to something.
 */
export class RedisProbe implements ChannelListener {
  readonly channel = `!probe:${randomBytes(6).toString('base64url')}`;
  #isSubscribed = false;
  #isDeaf = false;
  #patience = 1;
  #count = 0;
  #awaited: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly publish: (text: string) => Promise<unknown>,
    /** Nothing arrives; `isStill`: nor did it on another connection. Or it does again. */
    private readonly onChange: (isDeaf: boolean, isStill: boolean) => void,
    private readonly probeMs = PROBE_MS,
  ) {}

  /** Whether the last one that Redis has accepted did not arrive, and none has since. */
  get isDeaf(): boolean {
    return this.#isDeaf;
  }

  onSubscribed(): void {
    this.#isSubscribed = true;
    void this.#probe();
  }

  onInterrupted(): void {
    this.#isSubscribed = false;
    clearTimeout(this.#timer);
  }

  onMessage(text: string): void {
    if (text !== this.#awaited) return;
    this.#awaited = undefined;
    this.#patience = 1;
    this.#change(false);
  }

  async #probe(): Promise<void> {
    const text = `${++this.#count}`;
    this.#awaited = text;
    this.#wait(this.probeMs * this.#patience);
    try {
      await this.publish(text);
    } catch {
      if (this.#awaited !== text || !this.#isSubscribed) return;
      this.#awaited = undefined;
      this.#wait(this.probeMs);
    }
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#judge(), ms).unref();
  }

  #judge(): void {
    // Of a process that was busy, timers come before what has arrived meanwhile.
    setImmediate(() => {
      if (!this.#isSubscribed) return;
      if (this.#awaited === undefined) return void this.#probe();
      this.#patience = Math.min(2 * this.#patience, MAX_PATIENCE);
      this.#change(true);
    });
  }

  #change(isDeaf: boolean): void {
    const wasDeaf = this.#isDeaf;
    this.#isDeaf = isDeaf;
    if (isDeaf || wasDeaf) this.onChange(isDeaf, isDeaf && wasDeaf);
  }
}

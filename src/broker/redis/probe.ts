import { randomBytes } from 'node:crypto';
import type { ChannelListener } from '../broker.js';

/** Time between two probes, and how long one may take to arrive, in ms. */
const PROBE_MS = 10_000;
/** By how much this time grows at most while new connections do not help. */
const MAX_PATIENCE = 10;

/**
 * Checks that published messages arrive: a healthy subscriber connection may lead to another server than the one that events are
 * published on. An audit cannot tell that from a lost message, and would only read the channel from the history for ever.
 *
 * It publishes on its own channel, and expects the message on the subscriber connection. Cost: one PUBLISH in 10 s and process.
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
    /** @param isStill whether messages did not arrive before, either */
    private readonly onChange: (isDeaf: boolean, isStill: boolean) => void,
    private readonly probeMs = PROBE_MS,
  ) {}

  /** Whether the last probe that Redis accepted did not arrive, and none has since. */
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
    // In a process that was busy, timers run before the messages that have arrived in the meantime.
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

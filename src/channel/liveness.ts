import { FailureLog } from '../common/failure-log.js';
import { causeOf } from '../common/sse.errors.js';

/**
 * - `interrupted`: there is no subscription, or not yet.
 * - `synchronising`: the subscription is there; what was missed is being read.
 * - `live`: messages are delivered as they arrive.
 * - `closed`: the process has no use for the channel any more.
 */
export type ChannelState = 'interrupted' | 'synchronising' | 'live' | 'closed';

/** The state of a channel in this process, and the callbacks that wait until it is live. */
export class Liveness {
  readonly #waiting = new Set<() => void>();
  #state: ChannelState = 'interrupted';

  constructor(protected readonly failures = new FailureLog()) {}

  get state(): ChannelState {
    return this.#state;
  }

  get live(): boolean {
    return this.#state === 'live';
  }

  /**
   * Calls back once, as soon as the channel is live. Everything that arrives after the call is still to be delivered.
   *
   * @returns a function that cancels the callback
   */
  whenLive(callback: () => void): () => void {
    if (this.live) callback();
    else this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** Resolves when the channel is live. */
  async untilLive(): Promise<void> {
    while (!this.live) await new Promise<void>((resolve) => this.whenLive(resolve));
  }

  /** The one way to change the state. */
  protected enter(state: ChannelState): void {
    this.#state = state;
    if (state === 'closed') this.#waiting.clear();
    if (state === 'live') this.#callBack();
  }

  /** A callback that fails does not keep the others from being called. */
  #callBack(): void {
    for (const callback of this.#waiting) {
      this.#waiting.delete(callback);
      try {
        callback();
      } catch (error) {
        const cause = causeOf(error);
        this.failures.error(cause, `A connection failed when its channel became live: ${cause}`);
      }
    }
  }
}

import type { ChannelEvent } from './channel-event.js';
import { type HubOptions, Replay, type ReplayHub } from './replay.js';
import type { Subscriber } from './subscribers.js';

/** The running replays of a channel. */
export class Replays {
  readonly #all = new Map<Subscriber, Replay>();

  constructor(
    private readonly hub: ReplayHub,
    private readonly options: HubOptions,
  ) {}

  begin(subscriber: Subscriber): Replay {
    const replay = new Replay(this.hub, subscriber, this.options);
    this.#all.set(subscriber, replay);
    return replay;
  }

  /** @returns whether the subscriber had a replay */
  end(subscriber: Subscriber): boolean {
    this.#all.get(subscriber)?.cancel();
    return this.#all.delete(subscriber);
  }

  clear(): void {
    for (const subscriber of this.#all.keys()) this.end(subscriber);
  }

  /** Holds an event that is not stored until the end of each replay. */
  hold(event: ChannelEvent): void {
    for (const replay of this.#all.values()) replay.hold(event);
  }
}

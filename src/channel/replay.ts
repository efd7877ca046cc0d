import { setTimeout as sleep } from 'node:timers/promises';
import { COUNTED, type ReplayBounds } from '../broker/broker.js';
import { compareCursors, isCursor, isPosition } from '../event.js';
import type { FailureLog } from '../limiter.js';
import type { ChannelCounts } from './channel-counts.js';
import { type ChannelEvent, type ResetReason, resetEvent } from './channel-event.js';
import { type HistoryReader, type Passage, retryMs } from './history-reader.js';
import type { Ring, RingBounds, RingBudget } from './ring.js';
import type { Subscriber, Subscribers } from './subscribers.js';

/** What the hubs of a process have in common. */
export interface HubOptions {
  readonly reader: HistoryReader;
  /** How much one subscriber may get when it comes back. */
  readonly maxReplayEvents: number;
  readonly maxReplayBytes: number;
  readonly ring?: RingBounds;
  readonly budget?: RingBudget;
  readonly counts: ChannelCounts;
  readonly failures?: FailureLog;
  /** Is told the channel of each message that is no event. */
  readonly onDropped: (channel: string) => void;
}

/** What a replay needs of its hub. */
export interface ReplayHub {
  readonly channel: string;
  readonly live: boolean;
  /** While it is live. */
  readonly tip: string;
  readonly ring: Ring;
  readonly subscribers: Subscribers;
  untilLive(): Promise<void>;
  /** Resolves when the hub has caught up with a position of the store. */
  reach(storeTip: string): Promise<void>;
  synchronise(): void;
  /** The events behind a position, or undefined if the ring does not reach it. */
  after(position: string): ChannelEvent[] | undefined;
  /** Makes the subscriber live. */
  join(subscriber: Subscriber): void;
}

/** How many events that are not stored a replay holds back, and how many characters of JSON. */
const [MAX_HELD, MAX_HELD_SIZE] = [1_024, 262_144];

/**
 * Takes one subscriber from where it was to the live stream of its hub.
 *
 * What it missed comes from the hub's ring where that reaches, and else from the history, page by page, as fast as
 * the subscriber takes them, until the ring is met. The last look at the ring and the joining are in one turn of the
 * event loop, so there is no seam. The channels of one connection take turns, so that one page waits for its client, and not
 * one of each; a channel that cannot be read, or is not live, leaves its turn to the others. Events that are not stored are delivered
 * at the end.
 */
export class Replay {
  #cancelled = false;
  /** Whether the missed events were counted and are within the limits. Later publications do not count. */
  #isWithinLimits = false;
  #events = 0;
  #size = 0;
  /** The store's position that the hub has to reach before the replay continues. */
  #storeTip: string | undefined;
  /** Readings in a row that failed. */
  #failures = 0;
  #held: ChannelEvent[] = [];
  #heldSize = 0;
  #overflowed = false;
  /** Whether the client was connected all the time. */
  #wasLive = false;

  constructor(
    private readonly hub: ReplayHub,
    private readonly subscriber: Subscriber,
    private readonly options: HubOptions,
  ) {}

  cancel(): void {
    this.#cancelled = true;
  }

  /**
   * Keeps an event that is not stored for the end of the replay. With too many of them, a reconnecting client gets none: it was away
   * for others. A client that was live all the time is disconnected.
   */
  hold(event: ChannelEvent): void {
    if (this.#overflowed) return;
    this.#held.push(event);
    this.#heldSize += event.size;
    if (this.#held.length <= MAX_HELD && this.#heldSize <= MAX_HELD_SIZE) return;
    this.#held = [];
    this.#overflowed = true;
    if (this.#wasLive) this.subscriber.cut?.();
  }

  /** Replays to a subscriber that was live and read too slowly. The limits are for reconnections, so they do not apply. */
  async catchUp(position: string): Promise<void> {
    this.#isWithinLimits = this.#wasLive = true;
    await this.subscriber.drained?.();
    await this.run(position);
  }

  async run(lastEventId: string): Promise<void> {
    if (!isPosition(lastEventId)) return this.#reset('unknown');
    const { turns } = this.subscriber;
    for (let position: string | undefined = lastEventId; position !== undefined;) {
      if (!this.hub.live) await this.hub.untilLive();
      const from: string = position;
      position = await (turns ? turns.run(() => this.#advance(from)) : this.#advance(from));
      if (this.#storeTip !== undefined) await this.hub.reach(this.#storeTip);
      this.#storeTip = undefined;
      if (this.#failures > 0) await sleep(retryMs(this.#failures), undefined, { ref: false });
    }
  }

  /** @returns from where to go on; undefined when it has come to its end */
  async #advance(position: string): Promise<string | undefined> {
    if (this.#cancelled) return undefined;
    // It may have waited for its turn.
    if (!this.hub.live) return position;
    const rest = this.hub.after(position);
    if (rest) {
      if (!this.#isWithinLimits && this.#isTooMuch(rest)) return this.#end('limit');
      this.#isWithinLimits = true;
      if (!this.#send(rest)) return undefined;
      const { tip } = this.hub;
      const drained = this.subscriber.drained?.();
      // Being live does not require that the client has read everything.
      const isBehind = drained !== undefined && this.subscriber.isBehind === true;
      if (!isBehind) this.#join();
      await drained;
      return isBehind ? tip : undefined;
    }
    const page = await this.#read(position);
    if (this.#cancelled) return undefined;
    if (!page) return position;
    if (page.after === undefined) return this.#end(isCursor(position) ? 'lost' : 'unknown', page.tip);
    const isTooMuch = page.isTooMuch || (!this.#isCountedAtOnce && this.#isTooMuch(page.events));
    if (isTooMuch) return this.#end('limit', page.tip);
    this.#isWithinLimits = true;
    if (page.end === position && this.hub.live && !this.hub.after(position)) {
      // Hub and store differ: a message is in flight or lost, or the store lost events that the hub has delivered.
      if (compareCursors(page.tip, this.hub.tip) <= 0) this.hub.synchronise();
      this.#storeTip = page.tip;
      return position;
    }
    if (!this.#send(page.events)) return undefined;
    this.hub.ring.prepend(page.after, page.events);
    await this.subscriber.drained?.();
    return page.end;
  }

  /** @returns undefined where it failed */
  async #read(position: string): Promise<Passage | undefined> {
    try {
      const page = await this.options.reader.readShared(this.hub.channel, [position], {
        bounds: this.#isWithinLimits ? undefined : this.#bounds,
        isWanted: () => !this.#cancelled,
      });
      this.#failures = 0;
      return page;
    } catch (error) {
      this.#failures++;
      if (!this.#cancelled) this.options.reader.report(this.hub.channel, error as Error);
      return undefined;
    }
  }

  /** With a reset, which takes no turn: it may have to wait until the hub is live. */
  #end(...reset: [reason: ResetReason, storeTip?: string]): undefined {
    void this.#reset(...reset);
  }

  get #bounds(): ReplayBounds {
    return { events: this.options.maxReplayEvents, size: this.options.maxReplayBytes };
  }

  /** Whether one read can count up to the limits. Otherwise the replay counts what it sends. */
  get #isCountedAtOnce(): boolean {
    const { events, size } = this.#bounds;
    return events <= COUNTED.events && size <= COUNTED.size;
  }

  #isTooMuch(missed: readonly ChannelEvent[]): boolean {
    const { events, size } = this.#bounds;
    this.#events += missed.length;
    for (const event of missed) this.#size += event.size;
    return this.#events > events || this.#size > size;
  }

  /** @returns false if the subscriber has left, or failed */
  #send(events: readonly ChannelEvent[]): boolean {
    for (const event of events) {
      if (this.#cancelled || !this.hub.subscribers.resend(this.subscriber, event)) return false;
      this.options.counts.delivered++;
      this.options.counts.replayed++;
    }
    return true;
  }

  /** @param storeTip where the store was, if it was read */
  async #reset(reason: ResetReason, storeTip?: string): Promise<void> {
    if (!this.hub.live) await this.hub.untilLive();
    // A reset to where this process is must not take a subscriber back that has been further on another.
    if (storeTip !== undefined) await this.hub.reach(storeTip);
    if (this.#cancelled) return;
    const { channel, tip } = this.hub;
    this.options.counts.resets[reason]++;
    const reset = resetEvent(channel, reason, tip);
    if (this.hub.subscribers.send(this.subscriber, reset)) this.#join();
  }

  #join(): void {
    for (const event of this.#held) {
      if (!this.hub.subscribers.send(this.subscriber, event.at(this.hub.tip))) return;
      this.options.counts.delivered++;
    }
    this.hub.join(this.subscriber);
  }
}

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

  /** Keeps an event that is not stored for the end of each replay. */
  hold(event: ChannelEvent): void {
    for (const replay of this.#all.values()) replay.hold(event);
  }
}

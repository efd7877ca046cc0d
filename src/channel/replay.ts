import { setTimeout as sleep } from 'node:timers/promises';
import { COUNTED, OLDEST, type ReplayBounds } from '../broker/broker.js';
import { compareCursors, isCursor, isPosition } from '../event/event.js';
import type { FailureLog } from '../common/failure-log.js';
import type { ChannelMetrics } from './channel-metrics.js';
import { type ChannelEvent, type ResetReason, resetEvent } from './channel-event.js';
import { type HistoryReader, type HistoryPage, retryMs } from './history-reader.js';
import type { Ring, RingBounds, RingBudget } from './ring.js';
import type { Subscriber, Subscribers } from './subscribers.js';

/** Shared by all hubs of a process. */
export interface HubOptions {
  readonly reader: HistoryReader;
  /** Limits of what one subscriber gets when it reconnects. */
  readonly maxReplayEvents: number;
  readonly maxReplayBytes: number;
  readonly ring?: RingBounds;
  readonly budget?: RingBudget;
  readonly metrics: ChannelMetrics;
  readonly failures?: FailureLog;
  /** Called for each message that is no event. */
  readonly onDropped: (channel: string) => void;
}

/** A hub, as replays use it. */
export interface ReplayHub {
  readonly channel: string;
  readonly live: boolean;
  /** Defined while the hub is live. */
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
 * Takes one subscriber from its position to live delivery.
 *
 * Missed events come from the hub's ring if it reaches back far enough, otherwise from the history, page by page, as fast as
 * the client reads them, until the ring is reached. The last read of the ring and the step to live delivery are in one turn of the
 * event loop, so no event is missed or repeated. The channels of one connection take turns, so that only one page waits for the client;
 * an unreachable channel does not block the others. Events that are not stored are delivered
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
  /** Reads in a row that failed. */
  #failures = 0;
  #held: ChannelEvent[] = [];
  #heldSize = 0;
  #overflowed = false;
  /** Whether the client was connected all the time. */
  #wasLive = false;
  /** The store's tip when the connection began, until the first page of a client without a position. */
  #beganAt: string | undefined;

  constructor(
    private readonly hub: ReplayHub,
    private readonly subscriber: Subscriber,
    private readonly options: HubOptions,
  ) {
    this.#isWithinLimits = subscriber.isUnbounded === true;
  }

  cancel(): void {
    this.#cancelled = true;
  }

  /**
   * Holds an event that is not stored until the end of the replay. If there are too many, a reconnecting client gets none: it has missed
   * such events anyway. A client that was connected all the time is disconnected.
   */
  hold(event: ChannelEvent): void {
    if (this.#overflowed) return;
    this.#held.push(event);
    this.#heldSize += event.size;
    if (this.#held.length <= MAX_HELD && this.#heldSize <= MAX_HELD_SIZE) return;
    this.#held = [];
    this.#overflowed = true;
    if (this.#wasLive) this.subscriber.disconnectSlow?.();
  }

  /** Replays to a subscriber that was live and read too slowly. The limits are for reconnections, so they do not apply. */
  async catchUp(position: string): Promise<void> {
    this.#isWithinLimits = this.#wasLive = true;
    await this.subscriber.drained?.();
    await this.#run(position);
  }

  /** @param start the last event id of a client that reconnects; or, within the limits, the position that a client gets */
  begin(start: string | HistoryPage): Promise<void> {
    if (typeof start === 'string') return isPosition(start) ? this.#run(start) : this.#reset('unknown');
    this.#isWithinLimits = true;
    this.#beganAt = start.tip;
    return this.#run(start.after!);
  }

  async #run(start: string): Promise<void> {
    const { turns } = this.subscriber;
    for (let position: string | undefined = start; position !== undefined;) {
      if (!this.hub.live) await this.hub.untilLive();
      const from: string = position;
      position = await (turns ? turns.run(() => this.#advance(from)) : this.#advance(from));
      if (this.#storeTip !== undefined) await this.hub.reach(this.#storeTip);
      this.#storeTip = undefined;
      if (this.#failures > 0) await sleep(retryMs(this.#failures), undefined, { ref: false });
    }
  }

  /** @returns the position to continue from; undefined at the end of the replay */
  async #advance(position: string): Promise<string | undefined> {
    if (this.#cancelled) return undefined;
    // The state may have changed while it waited for its turn.
    if (!this.hub.live) return position;
    const rest = this.hub.after(position);
    if (rest) {
      this.#beganAt = undefined;
      if (!this.#isWithinLimits && this.#isTooMuch(rest)) return this.#end('limit');
      this.#isWithinLimits = true;
      if (!this.#send(rest)) return undefined;
      const { end } = this.hub.ring;
      const drained = this.subscriber.drained?.();
      // Being live does not require that the client has read everything.
      const isBehind = drained !== undefined && this.subscriber.isBehind === true;
      if (!isBehind) this.#join();
      await drained;
      return isBehind ? end : undefined;
    }
    const page = await this.#read(position);
    if (this.#cancelled) return undefined;
    if (!page) return position;
    if (this.#isLateFor(page)) return this.#end('lost', page.tip);
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

  /** Whether events were evicted, before they were read, that were published since the connection began. */
  #isLateFor({ after }: HistoryPage): boolean {
    const isLate =
      this.#beganAt !== undefined && after !== undefined && compareCursors(after, this.#beganAt) > 0;
    this.#beganAt = undefined;
    return isLate;
  }

  /** @returns undefined if the read failed */
  async #read(position: string): Promise<HistoryPage | undefined> {
    // The oldest stored events may be evicted while a connection begins with them.
    const positions = this.#beganAt === undefined ? [position] : [position, OLDEST];
    try {
      const page = await this.options.reader.readShared(this.hub.channel, positions, {
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

  /** Ends the replay with a reset, outside of its turn: the reset may have to wait until the hub is live. */
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

  /** @returns false if the subscriber was closed */
  #send(events: readonly ChannelEvent[]): boolean {
    for (const event of events) {
      if (this.#cancelled || !this.hub.subscribers.resend(this.subscriber, event)) return false;
      this.options.metrics.delivered++;
      this.options.metrics.replayed++;
    }
    return true;
  }

  /** @param storeTip the tip of the store, if it was read */
  async #reset(reason: ResetReason, storeTip?: string): Promise<void> {
    if (!this.hub.live) await this.hub.untilLive();
    // The client may have been further on another node: a reset must not take it back.
    if (storeTip !== undefined) await this.hub.reach(storeTip);
    if (this.#cancelled) return;
    const { channel, tip } = this.hub;
    this.options.metrics.resets[reason]++;
    const reset = resetEvent(channel, reason, tip);
    if (this.hub.subscribers.send(this.subscriber, reset)) this.#join();
  }

  #join(): void {
    for (const event of this.#held) {
      if (!this.hub.subscribers.send(this.subscriber, event.at(this.hub.tip))) return;
      this.options.metrics.delivered++;
    }
    this.hub.join(this.subscriber);
  }
}

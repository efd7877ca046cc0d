import { compareCursors, isCursor, isPosition } from '../event.js';
import type { ChannelCounts } from './channel-counts.js';
import { type ChannelEvent, type ResetReason, resetEvent } from './channel-event.js';
import type { ChannelHub } from './channel-hub.js';
import type { HistoryReader } from './history-reader.js';
import type { RingBounds } from './ring.js';
import type { Subscriber } from './subscribers.js';

/** What the hubs of a process have in common. */
export interface HubOptions {
  readonly reader: HistoryReader;
  /** How much one subscriber may get when it comes back. */
  readonly maxReplayEvents: number;
  readonly maxReplayBytes: number;
  readonly ring?: RingBounds;
  readonly counts: ChannelCounts;
  /** Is told the channel of each message that is no event. */
  readonly onDropped: (channel: string) => void;
}

/**
 * Takes one subscriber from where it was to the live stream of its hub.
 *
 * What it missed comes from the hub's ring where that reaches, and else from the history, page by page, as fast as
 * the subscriber takes them, until the ring is met. The last look at the ring and the joining are in one turn of the
 * event loop, so there is no seam.
 */
export class Replay {
  #cancelled = false;
  #events = 0;
  #size = 0;

  constructor(
    private readonly hub: ChannelHub,
    private readonly subscriber: Subscriber,
    private readonly options: HubOptions,
  ) {}

  cancel(): void {
    this.#cancelled = true;
  }

  async run(lastEventId: string): Promise<void> {
    if (!isPosition(lastEventId)) return this.#reset('unknown');
    for (let position = lastEventId; ;) {
      while (!this.hub.live) await this.#live();
      if (this.#cancelled) return;
      const rest = this.hub.after(position);
      if (rest) {
        if (!this.#isWithinLimits(rest)) return this.#reset('limit');
        if (!this.#send(rest)) return;
        // It need not have read them to be live; but it is not to be given up for them.
        void this.subscriber.drained?.();
        return this.hub.join(this.subscriber);
      }
      const page = await this.options.reader.readPatiently(this.hub.channel, position, {
        isWanted: () => !this.#cancelled,
        onError: (error) => this.hub.report(error),
      });
      if (this.#cancelled) return;
      if (page.after === undefined) return this.#reset(isCursor(position) ? 'lost' : 'unknown', page.tip);
      if (page.end === position && this.hub.live && !this.hub.after(position)) {
        // The store is elsewhere than this process, which has missed something, or gets it in a moment.
        this.hub.synchronise();
      }
      if (!this.#isWithinLimits(page.events)) {
        return this.#reset('limit', page.tip);
      }
      if (!this.#send(page.events)) return;
      this.hub.remember(page);
      position = page.end;
      await this.subscriber.drained?.();
    }
  }

  #isWithinLimits(events: readonly ChannelEvent[]): boolean {
    this.#events += events.length;
    for (const { size } of events) this.#size += size;
    return this.#events <= this.options.maxReplayEvents && this.#size <= this.options.maxReplayBytes;
  }

  /** @returns false if the subscriber has left, or failed */
  #send(events: readonly ChannelEvent[]): boolean {
    for (const event of events) {
      if (this.#cancelled || !this.hub.send(this.subscriber, event)) return false;
      this.options.counts.delivered++;
      this.options.counts.replayed++;
    }
    return true;
  }

  /** @param storeTip where the store was, if it was read */
  async #reset(reason: ResetReason, storeTip?: string): Promise<void> {
    while (!this.hub.live) await this.#live();
    if (storeTip !== undefined && this.#isBehind(storeTip)) {
      // A reset to where this process is must not take a subscriber back that has been further on another.
      this.hub.synchronise();
      while (!this.hub.live) await this.#live();
    }
    if (this.#cancelled) return;
    const { channel, tip } = this.hub;
    this.options.counts.resets[reason]++;
    if (this.hub.send(this.subscriber, resetEvent(channel, reason, tip))) this.hub.join(this.subscriber);
  }

  /** Whether the hub has missed something that is in the store, or gets it in a moment. */
  #isBehind(storeTip: string): boolean {
    return this.hub.live && compareCursors(storeTip, this.hub.tip) > 0;
  }

  #live(): Promise<void> {
    return new Promise((resolve) => {
      this.hub.whenLive(resolve);
    });
  }
}

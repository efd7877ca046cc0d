import { isCursor } from '../event/event.js';
import type { FailureLog } from '../common/failure-log.js';
import { causeOf } from '../common/sse.errors.js';
import type { History } from '../options/sse.options.js';
import { ChannelHub } from './channel-hub.js';
import { type ChannelSet, CompositeSubscriber, splitLastEventId, type Starts } from './composite.js';
import type { HistoryReader } from './history-reader.js';
import type { LiveHub } from './live-hub.js';
import { Opening } from './opening.js';
import { NewestPosition } from './start.js';
import type { Subscriber } from './subscribers.js';

export type Hub = ChannelHub | LiveHub;

/** Where a subscription begins. */
export interface SubscriptionStart {
  /** Any text from the client; an unknown position gives `sse.reset`. */
  readonly lastEventId?: string;
  /** How many of the newest events it begins with in channels in which the client has no position. @default 0 */
  readonly newest?: number;
}

/** What all subscriptions of a process share. */
export interface SubscriptionContext {
  readonly history: History | false;
  readonly reader: HistoryReader;
  readonly failures: FailureLog;
  /** Whether the application has ended. */
  isClosed(): boolean;
  /** Called once for each subscription that is closed. */
  onClosed(channels: readonly string[], set: ChannelSet | undefined): void;
}

/** What a subscription needs only until it has begun. */
interface SubscriptionOptions extends SubscriptionStart {
  readonly context: SubscriptionContext;
  /** Makes the ids of a connection with several channels that have history. */
  readonly set: ChannelSet | undefined;
}

const NONE: readonly never[] = [];

/** The subscription of a connection to its channels. */
export class Subscription {
  /** Resolves once all channels are live: every event that is published from then on reaches the subscriber. */
  readonly ready: Promise<void>;
  readonly #context: SubscriptionContext;
  readonly #set: ChannelSet | undefined;
  readonly #channels: readonly string[];
  #legs: readonly Subscriber[] = NONE;
  #newest: readonly NewestPosition[] = NONE;
  #opening: { cancel(): void } | undefined;
  #isOpen = true;

  constructor(
    private readonly hubs: readonly Hub[],
    private readonly subscriber: Subscriber,
    { context, set, ...start }: SubscriptionOptions,
  ) {
    this.#context = context;
    this.#set = set;
    this.#channels = hubs.map(({ channel }) => channel);
    const known = context.history === false ? new Map() : splitLastEventId(this.#channels, start.lastEventId);
    this.ready = known ? this.#begin(known, start) : this.#locateAndBegin(start);
  }

  /** Closing it again is no error. */
  unsubscribe(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#opening?.cancel();
    for (const position of this.#newest) position.cancel();
    for (const [n, leg] of this.#legs.entries()) this.hubs[n]!.detach(leg);
    this.#context.onClosed(this.#channels, this.#set);
  }

  get #isWanted(): boolean {
    return this.#isOpen && !this.#context.isClosed();
  }

  #begin(starts: Starts, start: SubscriptionStart): Promise<void> {
    const set = this.#set;
    const composite = set && new CompositeSubscriber(set, this.subscriber, starts);
    this.#legs = composite?.legs ?? this.hubs.map(() => this.subscriber);
    const attach = (opened: readonly (Hub | NewestPosition)[]) => {
      const begins = opened.map((each) =>
        each.attach(this.#legs[this.#channels.indexOf(each.channel)]!, starts.get(each.channel)),
      );
      composite?.open(opened.flatMap(({ channel }) => (starts.has(channel) ? [] : [channel])));
      for (const begin of begins) begin?.();
    };
    const all = this.hubs.map((hub) => (starts.has(hub.channel) ? hub : this.#beginOf(hub, start)));
    this.#newest = all.filter((each) => each instanceof NewestPosition);
    const opening = new Opening(all, (opened) => this.#guard(() => attach(opened)));
    this.#opening = opening;
    return this.#opened(opening);
  }

  async #opened({ done }: Opening<Hub | NewestPosition>): Promise<void> {
    await done;
    // Connections are kept for hours, and these would be with them.
    this.#opening = undefined;
    this.#newest = NONE;
  }

  #beginOf(hub: Hub, { newest = 0 }: SubscriptionStart): Hub | NewestPosition {
    const { history, reader, failures } = this.#context;
    if (newest === 0 || history === false || !(hub instanceof ChannelHub)) return hub;
    const bounds = { events: history.maxReplayEvents, size: history.maxReplayBytes };
    return new NewestPosition(hub, reader, { newest, bounds, failures, isWanted: () => this.#isWanted });
  }

  async #locateAndBegin(start: SubscriptionStart): Promise<void> {
    const opening = new Opening(this.hubs);
    this.#opening = opening;
    await opening.done;
    const starts = await this.#locate(start.lastEventId!);
    if (this.#isWanted) await this.#begin(starts, start);
  }

  /** Finds the channels in which the id of a single-channel connection is a position. */
  async #locate(id: string): Promise<Starts> {
    const options = { purpose: 'replay', limit: 0, isWanted: () => this.#isWanted } as const;
    const { reader } = this.#context;
    const pages = await Promise.all(
      this.#channels.map((channel) => reader.readPatiently(channel, [id], options)),
    );
    const known = this.#channels.flatMap((channel, n) =>
      pages[n]?.after === undefined ? [] : ([[channel, pages[n].after]] as const),
    );
    const none = isCursor(id) ? id : '';
    return new Map(known.length > 0 ? known : this.#channels.map((channel) => [channel, none]));
  }

  /** An error of one connection closes that connection only. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const cause = causeOf(error);
      this.#context.failures.error(cause, `A connection ends, as it failed: ${cause}`);
      this.subscriber.complete();
    }
  }
}

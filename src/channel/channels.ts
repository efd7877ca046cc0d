import { Injectable, Logger } from '@nestjs/common';
import type { SseBroker } from '../broker/broker.js';
import { SseError } from '../common/sse.errors.js';
import { FailureLog } from '../common/failure-log.js';
import { type History, HISTORY_DEFAULTS } from '../options/sse.options.js';
import { noMetrics } from './channel-metrics.js';
import { ChannelHub } from './channel-hub.js';
import { ChannelSet } from './composite.js';
import { HistoryReader } from './history-reader.js';
import { LiveHub } from './live-hub.js';
import { Opening } from './opening.js';
import { RingBudget } from './ring.js';
import type { Subscriber } from './subscribers.js';
import { type Hub, Subscription, type SubscriptionContext, type SubscriptionStart } from './subscription.js';

/** How long a channel stays subscribed after its last subscriber: long enough for an `EventSource` to reconnect. */
const LINGER_MS = 10_000;
/** Time between two audits of a channel, in ms, ± 50 %. */
const AUDIT_MS = 30_000;
/** Every fourth audit is also done while reads are queued: the store expires silent channels after 10 minutes. */
const DUE = 4;
/** Channels that are remembered as reported for a dropped message. */
const MAX_REPORTED = 1_000;

interface Entry {
  readonly hub: Hub;
  users: number;
  linger?: NodeJS.Timeout;
  audit?: NodeJS.Timeout;
}

/** Channel names contain no spaces. */
const keyOf = (channels: readonly string[]) => channels.join(' ');

/** All channels of this process, each with one hub for all of its subscribers. */
@Injectable()
export class Channels {
  readonly metrics = noMetrics();
  readonly #logger = new Logger('SseModule');
  readonly #failures = new FailureLog();
  readonly #entries = new Map<string, Entry>();
  /** Channels without subscribers, the longest unused first. */
  readonly #lingering = new Map<string, Entry>();
  readonly #sets = new Map<string, ChannelSet>();
  readonly #reported = new Set<string>();
  readonly #budget = new RingBudget();
  readonly #reader: HistoryReader;
  readonly #context: SubscriptionContext;
  #closed = false;

  constructor(
    private readonly broker: SseBroker,
    private readonly history: History | false = HISTORY_DEFAULTS,
    private readonly bounds: { readonly lingerMs?: number; readonly max?: number } = {},
  ) {
    this.#reader = new HistoryReader(broker, this.#failures);
    this.#context = {
      history,
      reader: this.#reader,
      failures: this.#failures,
      isClosed: () => this.#closed,
      onClosed: (names, set) => {
        if (set && --set.connections === 0) this.#sets.delete(keyOf(names));
        for (const name of names) this.#release(name);
      },
    };
  }

  /** Channels that this process is subscribed to. */
  get size(): number {
    return this.#entries.size;
  }

  /** The number of channels with these added. Channels without subscribers do not count, because they are closed on demand. */
  countWith(channels: readonly string[]): number {
    const isUsed = (channel: string) => this.#entries.has(channel) && !this.#lingering.has(channel);
    return this.#entries.size - this.#lingering.size + channels.filter((channel) => !isUsed(channel)).length;
  }

  /**
   * Subscribes to channels, in this call. The subscriber is opened when all channels are live; if some channels stay
   * unreachable for a second, it is opened without them.
   *
   * @param channels canonical names, each once
   */
  subscribe(
    channels: readonly string[],
    subscriber: Subscriber,
    start: SubscriptionStart = {},
  ): Subscription {
    const hubs = channels.map((channel) => this.#acquire(channel));
    const set = this.history !== false && channels.length > 1 ? this.#share(channels) : undefined;
    return new Subscription(hubs, subscriber, { context: this.#context, set, ...start });
  }

  /** Resolves when the channels are live, for a connection that begins within the linger time; or when `over` is aborted. */
  async prepare(channels: readonly string[], over: AbortSignal): Promise<void> {
    if (this.#closed || over.aborted || this.countWith(channels) > (this.bounds.max ?? Infinity)) return;
    const opening = new Opening(channels.map((channel) => this.#acquire(channel)));
    await Promise.race([opening.done, new Promise((resolve) => over.addEventListener('abort', resolve))]);
    opening.cancel();
    for (const channel of channels) this.#release(channel);
  }

  /** Reads what a channel has missed. @param storeTip the position of the store, if it is known */
  catchUp(channel: string, storeTip?: string): void {
    const hub = this.#entries.get(channel)?.hub;
    if (!(hub instanceof ChannelHub) || !hub.live) return;
    if (storeTip === undefined) hub.synchronise();
    else void hub.reach(storeTip);
  }

  /** Forgets the recent events of a channel: the store has lost some of them. */
  forget(channel: string): void {
    const hub = this.#entries.get(channel)?.hub;
    if (hub instanceof ChannelHub) hub.ring.clear(hub.tip);
  }

  /** Logs why a channel cannot be read. */
  report(channel: string, error: Error): void {
    this.#reader.report(channel, error);
  }

  /** Unsubscribes from all channels, for good: `Connections` accepts no further connections. */
  close(): void {
    this.#closed = true;
    for (const { hub, linger, audit } of this.#entries.values()) {
      clearTimeout(linger);
      clearInterval(audit);
      hub.close();
    }
    this.#entries.clear();
    this.#lingering.clear();
  }

  #share(channels: readonly string[]): ChannelSet {
    const key = keyOf(channels);
    const set = this.#sets.get(key) ?? new ChannelSet(channels);
    this.#sets.set(key, set);
    set.connections++;
    return set;
  }

  #acquire(channel: string): Hub {
    let entry = this.#entries.get(channel);
    if (!entry) {
      const [oldest] = this.#lingering.keys();
      if (oldest !== undefined && this.size >= (this.bounds.max ?? Infinity)) this.#forget(oldest);
      entry = this.#open(channel);
      this.#entries.set(channel, entry);
    }
    this.#lingering.delete(channel);
    clearTimeout(entry.linger);
    entry.users++;
    return entry.hub;
  }

  #open(channel: string): Entry {
    const onDropped = (name: string) => this.#drop(name);
    if (this.history === false) {
      return { hub: new LiveHub(channel, this.broker, onDropped, this.metrics, this.#failures), users: 0 };
    }
    const { metrics } = this;
    const hub = new ChannelHub(channel, this.broker, {
      ...this.history,
      reader: this.#reader,
      budget: this.#budget,
      metrics,
      failures: this.#failures,
      onDropped,
    });
    const period = AUDIT_MS * (0.5 + Math.random());
    let audits = 0;
    // Without subscribers, a read would only keep the channel in the store.
    const run = () => entry.users > 0 && void hub.audit(++audits % DUE === 0);
    const entry: Entry = { hub, users: 0, audit: setInterval(run, period).unref() };
    return entry;
  }

  #release(channel: string): void {
    const entry = this.#entries.get(channel);
    if (!entry || --entry.users > 0) return;
    this.#lingering.set(channel, entry);
    entry.linger = setTimeout(() => this.#forget(channel), this.bounds.lingerMs ?? LINGER_MS).unref();
  }

  #forget(channel: string): void {
    const { hub, linger, audit } = this.#entries.get(channel)!;
    clearTimeout(linger);
    clearInterval(audit);
    this.#entries.delete(channel);
    this.#lingering.delete(channel);
    hub.close();
  }

  /** @throws SseError `SSE_INPUT` for a start with stored events where none are stored */
  checkNewest(newest = 0): void {
    if (newest > 0 && this.history === false) {
      throw new SseError('SSE_INPUT', "Expected `from` to be 'live', as the option `history` is false");
    }
  }

  /**
   * The positions at which channels are now, as one id to resume after.
   *
   * @throws SseError `SSE_UNAVAILABLE`
   */
  async position(channels: readonly string[]): Promise<string> {
    if (this.history === false) {
      throw new SseError('SSE_OPTIONS', 'Channels have positions only with the option `history`');
    }
    const read = (channel: string) => this.#reader.read(channel, [], { purpose: 'open', limit: 0 });
    const pages = await Promise.all(channels.map(read));
    const cursors = pages.map((page) => page!.tip);
    if (cursors.length === 1) return cursors[0]!;
    return new ChannelSet(channels).idAt(cursors);
  }

  #drop(channel: string): void {
    this.metrics.dropped++;
    if (this.#reported.has(channel) || this.#reported.size >= MAX_REPORTED) return;
    this.#reported.add(channel);
    this.#logger.warn(
      `Dropped a message on ${channel} that is no event (docs/wire-format.md); further ones are only counted`,
    );
  }
}

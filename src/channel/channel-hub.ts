import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelListener, SseBroker } from '../broker/broker.js';
import { decodeMessages, type Message } from '../event/message.js';
import { compareCursors, isCursor } from '../event/event.js';
import { Backlog } from './backlog.js';
import { ChannelEvent, resetEvent } from './channel-event.js';
import type { HistoryPage } from './history-reader.js';
import { type ChannelState, Liveness } from './liveness.js';
import type { HubOptions, ReplayHub } from './replay.js';
import { Replays } from './replays.js';
import { Ring } from './ring.js';
import { type Subscriber, Subscribers } from './subscribers.js';

/** Reads in a row after which held messages that do not continue the chain are dropped, and the pause after the first one, in ms. */
const [MAX_ROUNDS, RETRY_MS] = [5, 10];
/** How long a message that seems to be missing may still be in flight, and how often that is checked, in ms. */
const [GRACE_MS, STEP_MS] = [100, 10];
const pause = (ms: number) => sleep(ms, undefined, { ref: false });

/**
 * One channel in this process: one broker subscription, any number of subscribers, and the tip, the cursor of the last event that
 * was delivered to them.
 *
 * A message whose `prev` is not the tip shows a gap; so does an interrupted subscription. The hub then holds messages back and
 * reads the gap from the history. If the history does not reach back to the tip, subscribers get one `sse.reset`.
 */
export class ChannelHub extends Liveness implements ChannelListener, ReplayHub {
  readonly subscribers: Subscribers;
  readonly #replays: Replays;
  readonly ring: Ring;
  readonly #backlog = new Backlog();
  /** The next message has to name it as `prev`. */
  #tip: string | undefined;
  /** Counts state changes, so that a read from before one is not used. */
  #generation = 0;
  /** Whether the history had events that did not arrive as messages. */
  #hasMissed = false;

  constructor(
    readonly channel: string,
    private readonly broker: SseBroker,
    private readonly options: HubOptions,
  ) {
    super(options.failures);
    this.#replays = new Replays(this, options);
    this.subscribers = new Subscribers(this.failures, options.metrics);
    this.ring = new Ring(options.ring, options.budget);
    broker.subscribe(channel, this);
  }

  /**
   * Adds a subscriber to a live hub: after a last event id, after a position that its client does not know, or from now on.
   * @returns a function that starts the replay, for when all channels of the connection are open
   */
  attach(subscriber: Subscriber, start?: string | HistoryPage): (() => void) | undefined {
    if (start === undefined) {
      // Before `open()`, which may close the subscriber.
      this.subscribers.add(subscriber);
      subscriber.open(this.#tip, [this.channel]);
      return undefined;
    }
    const replay = this.#replays.begin(subscriber);
    if (typeof start !== 'string') subscriber.open(start.after, [this.channel], start.isTruncated);
    else subscriber.open(isCursor(start) ? start : this.#tip, []);
    return () => void replay.begin(start);
  }

  detach(subscriber: Subscriber): void {
    this.#replays.end(subscriber);
    this.subscribers.delete(subscriber);
  }

  close(): void {
    this.enter('closed');
    this.ring.clear('');
    this.subscribers.clear();
    this.#replays.clear();
    this.broker.unsubscribe(this.channel);
  }

  onInterrupted(): void {
    this.enter('interrupted');
  }

  onSubscribed(): void {
    this.synchronise();
  }

  onMessage(text: string): void {
    const messages = decodeMessages(text);
    if (!messages) return this.options.onDropped(this.channel);
    for (const message of messages) {
      if (this.live && this.#accept(message)) continue;
      this.#backlog.push(message);
      if (this.live) this.synchronise();
    }
  }

  /** Reads the current tip and delivers what was missed. */
  synchronise(): void {
    this.enter('synchronising');
    void this.#synchronise(this.#generation);
  }

  protected override enter(state: ChannelState): void {
    if (state !== 'live') this.#generation++;
    super.enter(state);
  }

  /**
   * Compares the tip with the store's, because the last message before a silence may have been lost. It also keeps the store from
   * expiring the position of a silent channel. It is skipped while reads are queued, unless it is due.
   */
  async audit(isDue = false): Promise<void> {
    if (!this.live) return;
    this.ring.age();
    if (!isDue && this.options.reader.isBusy(this.channel)) return;
    const tip = this.#tip;
    const options = { purpose: isDue ? 'repair' : 'audit', limit: 0 } as const;
    const page = await this.options.reader.read(this.channel, [], options).catch(() => undefined);
    if (!page || page.tip === this.#tip) return;
    await pause(GRACE_MS);
    if (this.live && this.#tip === tip) this.synchronise();
  }

  /** Resolves when the hub has caught up with a position of the store: by messages in flight, or after `GRACE_MS` by a read. */
  async reach(storeTip: string): Promise<void> {
    const isBehind = () => this.live && compareCursors(storeTip, this.tip) > 0;
    for (let waited = 0; isBehind() && waited < GRACE_MS; waited += STEP_MS) await pause(STEP_MS);
    if (isBehind()) this.synchronise();
    await this.untilLive();
  }

  get tip(): string {
    return this.#tip!;
  }

  after(position: string): ChannelEvent[] | undefined {
    return position === this.#tip ? [] : this.ring.after(position);
  }

  join(subscriber: Subscriber): void {
    // The last replayed event may have closed this subscriber.
    if (this.#replays.end(subscriber)) this.subscribers.add(subscriber);
  }

  async #synchronise(generation: number): Promise<void> {
    let from: readonly string[] = this.#positions();
    for (let round = 1; ;) {
      const page = await this.options.reader.readPatiently(this.channel, from, {
        purpose: this.#tip === undefined ? 'open' : 'repair',
        isWanted: () => generation === this.#generation,
        onError: (error) => this.options.reader.report(this.channel, error),
      });
      // The state may have changed in the microtasks since the read.
      if (!page || generation !== this.#generation) return;
      from = this.#take(page, from);
      if (from.length > 0) continue;
      // Before the held messages are delivered, so that waiting subscribers get them, too.
      this.enter('live');
      if (this.#drain(round >= MAX_ROUNDS)) {
        if (this.#hasMissed) this.options.metrics.gaps++;
        this.#hasMissed = false;
        return;
      }
      // Delivering may have started another synchronisation.
      if (generation !== this.#generation) return;
      this.enter('synchronising');
      generation = this.#generation;
      from = this.#positions();
      await pause(RETRY_MS * round++);
    }
  }

  #positions(): string[] {
    return this.#tip === undefined ? [] : [...new Set([this.#tip, ...this.ring.positions()])];
  }

  /** @returns the positions to read on from; empty if the page reaches the tip */
  #take(page: HistoryPage, from: readonly string[]): string[] {
    if (this.#tip === undefined) {
      // Messages since the subscription are live if the store knows them: another database may use the same Pub/Sub channel.
      const { start = page.tip } = this.#backlog;
      if (start !== page.tip && !from.includes(start)) return [start];
      this.#restart(page.after ?? page.tip);
      return [];
    }
    if (page.after === undefined) {
      this.#restart(page.tip);
      this.options.metrics.resets.lost += this.subscribers.deliver(
        resetEvent(this.channel, 'lost', page.tip),
      );
      return [];
    }
    const missed = page.events.filter(({ cursor }) => !this.ring.has(cursor));
    for (const event of missed) this.#append(event);
    this.#hasMissed ||= missed.length > 0;
    // The store may have lost events that were delivered here, so the next message follows the store's tip.
    this.#tip = page.end;
    return page.end === page.tip ? [] : [page.end];
  }

  #restart(tip: string): void {
    this.#tip = tip;
    this.ring.clear(tip);
  }

  /** @returns whether every held message continued the chain, was known, or was dropped */
  #drain(dropsRest: boolean): boolean {
    const { messages, overflowed } = this.#backlog.take();
    for (const [index, message] of messages.entries()) {
      const { cursor } = message;
      const isKnown = cursor !== undefined && compareCursors(cursor, this.#tip!) <= 0;
      if (this.#accept(message) || isKnown || dropsRest) continue;
      for (const held of messages.slice(index)) this.#backlog.push(held);
      return false;
    }
    return !overflowed;
  }

  /** @returns whether the message continues the chain, is known, or is not stored */
  #accept(message: Message): boolean {
    const { cursor, prev, isStart } = message;
    if (cursor !== undefined) {
      // Cursors increase, so a successor of the newest event is not in the ring: nearly all messages need no search.
      const isNew = prev === this.#tip && prev === this.ring.end;
      if (cursor === this.#tip || (!isNew && this.ring.has(cursor))) return true;
      if (prev !== this.#tip) return false;
      if (isStart) this.#restart(cursor);
      if (isStart) return true;
    }
    const event = new ChannelEvent(this.channel, message, this.#tip!);
    if (cursor !== undefined) this.#append(event);
    else {
      this.options.metrics.delivered += this.subscribers.deliver(event);
      this.#replays.hold(event);
    }
    return true;
  }

  #append(event: ChannelEvent): void {
    const from = this.ring.end;
    this.ring.push(event);
    this.#tip = event.cursor;
    this.options.metrics.delivered += this.subscribers.deliver(event, (subscriber) => {
      this.options.metrics.behind++;
      void this.#replays.begin(subscriber).catchUp(from);
    });
  }
}

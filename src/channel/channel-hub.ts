import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelListener, SseBroker } from '../broker/broker.js';
import { decodeMessage, type Message } from '../broker/message.js';
import { compareCursors, isCursor } from '../event.js';
import { Backlog } from './backlog.js';
import { ChannelEvent, resetEvent } from './channel-event.js';
import type { Passage } from './history-reader.js';
import { Liveness } from './liveness.js';
import { type HubOptions, type ReplayHub, Replays } from './replay.js';
import { Ring } from './ring.js';
import { type Subscriber, Subscribers } from './subscribers.js';

/** Readings in a row that may fail to explain the messages held back, before those are given up. */
const MAX_ROUNDS = 5;
const RETRY_MS = 10;
/** How long a message may be on its way to a process that seems to have missed it, and how often that is looked at. */
const [GRACE_MS, STEP_MS] = [100, 10];
const pause = (ms: number) => sleep(ms, undefined, { ref: false });

/**
 * One channel in this process: one broker subscription, any number of subscribers, and the position in the chain
 * up to which all of them have been served.
 *
 * The hub is live while its tip is the last link of the chain. A message whose `prev` is not the tip shows a gap, as
 * does a subscription that was interrupted; messages are then held back while the gap is read from the history. Only
 * where that does not reach any more, subscribers get one `sse.reset`, and the stream goes on from the new tip.
 */
export class ChannelHub extends Liveness implements ChannelListener, ReplayHub {
  readonly subscribers: Subscribers;
  readonly #replays: Replays;
  readonly ring: Ring;
  readonly #backlog = new Backlog();
  /** The cursor that the next message of the chain has to follow. */
  #tip: string | undefined;
  #generation = 0;
  /** Whether events came from the history that had not arrived. */
  #hasMissed = false;

  constructor(
    readonly channel: string,
    private readonly broker: SseBroker,
    private readonly options: HubOptions,
  ) {
    super(options.failures);
    this.#replays = new Replays(this, options);
    this.subscribers = new Subscribers(this.failures, options.counts);
    this.ring = new Ring(options.ring, options.budget);
    broker.subscribe(channel, this);
  }

  /**
   * Adds a subscriber to a live hub: after `lastEventId`, or from now on.
   *
   * @returns starts the replay; called once all channels of the connection are open
   */
  attach(subscriber: Subscriber, lastEventId: string | undefined): (() => void) | undefined {
    const from = isCursor(lastEventId) ? lastEventId : this.#tip!;
    // `open()` may close the subscriber at once.
    if (lastEventId === undefined) {
      this.subscribers.add(subscriber);
      subscriber.open(from, [this.channel]);
      return undefined;
    }
    const replay = this.#replays.begin(subscriber);
    subscriber.open(from, []);
    return () => void replay.run(lastEventId);
  }

  detach(subscriber: Subscriber): void {
    this.#replays.end(subscriber);
    this.subscribers.delete(subscriber);
  }

  close(): void {
    this.#generation++;
    this.end();
    this.ring.clear('');
    this.subscribers.clear();
    this.#replays.clear();
    this.broker.unsubscribe(this.channel);
  }

  onInterrupted(): void {
    this.#generation++;
    this.interrupt();
  }

  onSubscribed(): void {
    this.synchronise();
  }

  onMessage(text: string): void {
    const message = decodeMessage(text);
    if (!message) return this.options.onDropped(this.channel);
    if (this.live && this.#accept(message)) return;
    this.#backlog.push(message);
    if (this.live) this.synchronise();
  }

  /** Finds out where the channel is, and delivers what was missed, before it goes on. */
  synchronise(): void {
    this.interrupt();
    void this.#synchronise(++this.#generation);
  }

  /**
   * Compares the tip with the store's: the last message before a silence may have got lost on its way. It also keeps
   * the position of a silent channel from being forgotten. While others wait for reads it is skipped, unless it is due.
   */
  async audit(isDue = false): Promise<void> {
    if (!this.live) return;
    this.ring.age();
    if (!isDue && this.options.reader.isBusy(this.channel)) return;
    const tip = this.#tip;
    const look = this.options.reader.read(this.channel, [], {
      purpose: isDue ? 'repair' : 'audit',
      limit: 0,
    });
    const page = await look.catch(() => undefined);
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
    // It may have left with the last event of its replay.
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
      // Asked here, as a turn of the microtask queue has passed since the reading.
      if (!page || generation !== this.#generation) return;
      from = this.#take(page, from);
      if (from.length > 0) continue;
      // Who has waited for the hub gets what is held back, too.
      this.begin();
      if (this.#drain(round >= MAX_ROUNDS)) {
        if (this.#hasMissed) this.options.counts.gaps++;
        this.#hasMissed = false;
        return;
      }
      this.interrupt();
      from = this.#positions();
      await pause(RETRY_MS * round++);
      if (generation !== this.#generation) return;
    }
  }

  #positions(): string[] {
    return this.#tip === undefined ? [] : [...new Set([this.#tip, ...this.ring.positions()])];
  }

  /** @returns where to read on; nothing if the page goes to the tip */
  #take(page: Passage, from: readonly string[]): string[] {
    if (this.#tip === undefined) {
      // Messages since the subscription count as live if the store knows them: another database may use the same Pub/Sub name.
      const { start = page.tip } = this.#backlog;
      if (start !== page.tip && !from.includes(start)) return [start];
      this.#goOn(page.after ?? page.tip);
      return [];
    }
    if (page.after === undefined) {
      this.#goOn(page.tip);
      this.options.counts.resets.lost += this.subscribers.deliver(resetEvent(this.channel, 'lost', page.tip));
      return [];
    }
    const missed = page.events.filter(({ cursor }) => !this.ring.has(cursor));
    for (const event of missed) this.#append(event);
    this.#hasMissed ||= missed.length > 0;
    // The store may have lost events that were delivered here: what comes next follows its tip, not ours.
    this.#tip = page.end;
    return page.end === page.tip ? [] : [page.end];
  }

  #goOn(tip: string): void {
    this.#tip = tip;
    this.ring.clear(tip);
  }

  /** @returns whether all that was held back has found its place, or was given up */
  #drain(givesUp: boolean): boolean {
    const { messages, overflowed } = this.#backlog.take();
    for (const [index, message] of messages.entries()) {
      const { cursor } = message;
      const isKnown = cursor !== undefined && compareCursors(cursor, this.#tip!) <= 0;
      if (this.#accept(message) || isKnown || givesUp) continue;
      for (const held of messages.slice(index)) this.#backlog.push(held);
      return false;
    }
    return !overflowed;
  }

  /** @returns whether the message is the next one, a known one, or passing by */
  #accept(message: Message): boolean {
    const { cursor, prev } = message;
    if (cursor !== undefined) {
      // Cursors increase: what follows the newest event is none of the ring's. Nearly all messages need no search.
      const isNew = prev === this.#tip && prev === this.ring.end;
      if (cursor === this.#tip || (!isNew && this.ring.has(cursor))) return true;
      if (prev !== this.#tip) return false;
    }
    const event = new ChannelEvent(this.channel, message, this.#tip!);
    if (cursor === undefined) this.#pass(event);
    else this.#append(event);
    return true;
  }

  #append(event: ChannelEvent): void {
    const from = this.#tip!;
    this.ring.push(event);
    this.#tip = event.cursor;
    this.options.counts.delivered += this.subscribers.deliver(event, (subscriber) => {
      this.options.counts.behind++;
      void this.#replays.begin(subscriber).catchUp(from);
    });
  }

  /** Delivers an event that is not stored. */
  #pass(event: ChannelEvent): void {
    this.options.counts.delivered += this.subscribers.deliver(event);
    this.#replays.hold(event);
  }
}

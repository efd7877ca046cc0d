import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamState, StreamStore } from '../broker/streams.js';
import { ChannelEvent, resetEvent } from '../channel/channel-event.js';
import type { Channels } from '../channel/channels.js';
import { retryMs } from '../channel/history-reader.js';
import type { Subscriber } from '../channel/subscribers.js';
import { isCursor } from '../event/event.js';
import { END_TYPE } from '../event/message.js';
import type { StreamWatches } from './stream-watches.js';

/** How often a reader looks for the end of a stream whose events are evicted, in ms. */
const EVICTED_MS = 250;

interface StreamReaderOptions {
  readonly store: StreamStore;
  readonly channels: Channels;
  readonly watches: StreamWatches;
  /** Reads the state for readers that need it at the same time. */
  readonly lookAgain: () => Promise<StreamState | undefined>;
  readonly lastEventId?: string;
}

/** Whether a client needs nothing of a stream: it has the end; or nothing is kept, and the client has no position. */
export function hasAll(state: StreamState | undefined, lastEventId: string | undefined): boolean {
  return state ? state.end !== undefined && lastEventId === state.tip : lastEventId === undefined;
}

/**
 * Delivers one stream to a subscriber, from its first event or after the client's last event id, up to its end.
 *
 * Where the client's events may be of another generation, or Redis has lost some of them, the subscriber gets one `sse.reset`, and then the
 * stream from its first event.
 */
export class StreamReader implements Subscriber {
  readonly isUnbounded = true;
  /** The position of the subscriber: the next event follows it. */
  #position = '';
  /** Sent before the next events. */
  #reset: ChannelEvent | undefined;
  /** The generation to which the client was reset, until it has got an event of it. */
  #resetGeneration: string | undefined;
  #isOpen = false;
  #isClosed = false;
  #isRestarting = false;
  #unsubscribe = () => {};
  #unwatch = () => {};
  #onReady = () => {};
  /** Resolves when the stream can be delivered. */
  readonly ready = new Promise<void>((resolve) => (this.#onReady = resolve));

  constructor(
    private readonly id: string,
    private readonly subscriber: Subscriber,
    private readonly options: StreamReaderOptions,
  ) {}

  /** @param state undefined if nothing is kept of the stream */
  begin(state: StreamState | undefined): void {
    const { lastEventId } = this.options;
    if (hasAll(state, lastEventId)) return this.#finish();
    if (!state) {
      this.options.channels.metrics.resets.lost++;
      return this.#vanish();
    }
    const { generation } = state;
    const isPosition = isCursor(lastEventId);
    if (lastEventId !== undefined && !isPosition) {
      this.options.channels.metrics.resets.unknown++;
      this.#resetTo(generation, 'unknown');
    }
    this.#read(state, isPosition ? lastEventId : generation);
  }

  async lookAndBegin(): Promise<void> {
    const looked = await this.#look(() => this.options.store.look(this.id, true));
    if (looked) this.begin(looked.state);
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#unwatch();
    this.#onReady();
  }

  open(cursor: string | undefined): void {
    const resumes = this.options.lastEventId !== undefined;
    if (!this.#isOpen) this.subscriber.open(cursor, resumes ? [] : [this.id]);
    this.#isOpen = true;
    const reset = this.#reset;
    this.#reset = undefined;
    if (reset) this.subscriber.next(reset);
  }

  next(event: ChannelEvent): void {
    if (event.type === 'sse.reset') return void this.#restart();
    // Other programs may publish on the channel.
    if (!event.isStored || this.#isClosed) return;
    if (event.prev !== this.#position) {
      // Redis has lost events that the subscriber has, and the producer may have written them again.
      this.options.channels.forget(this.id);
      return void this.#restart();
    }
    this.#position = event.cursor;
    this.#resetGeneration = undefined;
    this.subscriber.next(event);
    if (event.type === END_TYPE) this.#finish();
  }

  complete(): void {
    this.subscriber.complete();
  }

  disconnectSlow(): void {
    this.subscriber.disconnectSlow?.();
  }

  drained(): Promise<void> | undefined {
    return this.subscriber.drained?.();
  }

  get isBehind(): boolean {
    return this.subscriber.isBehind === true;
  }

  #read(state: StreamState, position: string): void {
    const { channels, watches } = this.options;
    this.#position = position;
    this.#unwatch = watches.add(this.id, state, () => void this.#restart());
    const subscription = channels.subscribe([this.id], this, { lastEventId: position });
    this.#unsubscribe = () => subscription.unsubscribe();
    void subscription.ready.then(() => this.#onReady());
    // The subscription may have delivered everything in this call.
    if (this.#isClosed) this.close();
  }

  async #restart(): Promise<void> {
    if (this.#isRestarting || this.#isClosed) return;
    this.#isRestarting = true;
    this.#unsubscribe();
    this.#unwatch();
    const looked = await this.#look(this.options.lookAgain);
    this.#isRestarting = false;
    if (!looked) return;
    const { state } = looked;
    if (!state) return this.#vanish();
    if (state.generation === this.#resetGeneration) return this.#awaitEnd(state);
    this.#resetTo(state.generation);
    this.#read(state, state.generation);
  }

  /** Repeats it until it succeeds. @returns undefined if the reader is closed */
  async #look(
    look: () => Promise<StreamState | undefined>,
  ): Promise<{ state: StreamState | undefined } | undefined> {
    for (let failures = 0; !this.#isClosed;) {
      try {
        const state = await look();
        return this.#isClosed ? undefined : { state };
      } catch (error) {
        this.options.channels.report(this.id, error as Error);
        await sleep(retryMs(++failures), undefined, { ref: false });
      }
    }
    return undefined;
  }

  #resetTo(generation: string, reason: 'lost' | 'unknown' = 'lost'): void {
    this.#resetGeneration = generation;
    this.#reset = resetEvent(this.id, reason, generation);
  }

  /** Redis has evicted the events of the stream, which its owner finds with its next call: the reader gets the end alone. */
  async #awaitEnd({ end, tip, leftMs }: StreamState): Promise<void> {
    if (end) return this.#conclude(JSON.stringify(end), tip);
    await sleep(Math.min(leftMs, EVICTED_MS) + 1, undefined, { ref: false });
    return this.#restart();
  }

  /** Nothing is kept of the stream. The events have no id, so that the client has none to reconnect with. */
  #vanish(): void {
    if (this.#resetGeneration === undefined) this.#resetTo('');
    this.#conclude(JSON.stringify({ status: 'lost', reason: 'expired' }), '');
  }

  #conclude(json: string, position: string): void {
    this.open(undefined);
    this.subscriber.next(new ChannelEvent(this.id, { json, type: END_TYPE, size: 0 }, position));
    this.#finish();
  }

  #finish(): void {
    this.close();
    if (this.subscriber.finish) this.subscriber.finish();
    else this.subscriber.complete();
  }
}

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelListener, SseBroker } from '../broker/broker.js';
import type { SseStreamStatus, StreamState, StreamStore } from '../broker/streams.js';
import { SseError } from '../common/sse.errors.js';
import { decodeMessage } from '../event/message.js';
import { OwnedStream } from './owned-stream.js';
import type { ResolvedStreamOptions } from './stream-options.js';

/** How long a start is retried, and the pause between two attempts, in ms. An attempt takes up to 2 s without a connection. */
const [START_MS, RETRY_MS] = [2_500, 100];
/** How long the last events and ends may take when the application closes, in ms. */
const CLOSE_MS = 2_000;

/** What has happened to the streams of a process, as `stats()` shows it. */
export interface StreamMetrics {
  live: number;
  started: number;
  readonly ended: Record<SseStreamStatus, number>;
}

/** The channel for messages that a stream of a process is to stop. Channels of applications cannot have such a name. */
const stopsOf = (instance: string) => `!stop:${instance}`;

const closing = () => new SseError('SSE_UNAVAILABLE', 'Not started: the application is closing');

/** The streams that this process produces. */
export class OwnedStreams implements ChannelListener {
  readonly #all = new Map<string, OwnedStream>();
  /** Unique for each process, and part of the names of its owners. */
  readonly #instance = randomBytes(9).toString('base64url');
  readonly #starting = new Set<Promise<unknown>>();
  #count = 0;
  #isDraining = false;

  constructor(
    private readonly broker: SseBroker,
    private readonly store: StreamStore,
    private readonly metrics: StreamMetrics,
  ) {}

  /**
   * Starts a stream, unless one with the id is live.
   *
   * @returns the state of the live one, if it was not started
   * @throws SseError `SSE_UNAVAILABLE`; `SSE_INPUT` for the id of a channel with events
   */
  start(id: string, options: ResolvedStreamOptions): Promise<OwnedStream | StreamState> {
    const starting = this.#start(id, options).finally(() => this.#starting.delete(starting));
    this.#starting.add(starting);
    return starting;
  }

  async #start(id: string, options: ResolvedStreamOptions): Promise<OwnedStream | StreamState> {
    const { replace: replaces, leaseMs, keepMs, onDisconnect } = options;
    const owner = `${this.#instance}.${this.#count++}`;
    // It is sent before the start, which need not wait for its reply.
    const looking = replaces ? this.store.look(id, false).catch(() => undefined) : undefined;
    let startedAt = 0;
    const needsReaders = onDisconnect === 'abort';
    const state = await this.#attempt(() => {
      startedAt = performance.now();
      return this.store.start(id, { owner, leaseMs, keepMs, replaces, needsReaders });
    });
    if (state.owner !== owner) return state;
    if (state.end)
      throw new SseError('SSE_UNAVAILABLE', 'Not started: Redis did not answer within the lease');
    const before = await looking;
    // The replaced producer should stop at once.
    if (before && !before.end && before.owner !== owner) this.tell(before);
    const stream = new OwnedStream(this.store, {
      id,
      owner,
      state,
      startedAt,
      options,
    });
    this.#own(owner, stream);
    if (!this.#isDraining) return stream;
    // The application has begun to close in the meantime.
    stream.stop({ status: 'aborted', reason: 'shutdown' });
    await stream.done;
    throw closing();
  }

  /** Tells the owner of a stream to ask the store at once. The message may get lost: the owner asks every few seconds. */
  tell({ owner }: StreamState): void {
    const own = this.#all.get(owner);
    if (own) return own.renew();
    const publication = { data: JSON.stringify(owner), transient: true };
    this.broker.publish(stopsOf(owner.split('.')[0]!), publication).catch(() => undefined);
  }

  /** Accepts no more starts. Producers have `waitMs` to end; what has not ended by then is aborted. */
  async drain(waitMs: number): Promise<void> {
    this.#isDraining = true;
    const starting = Promise.allSettled(this.#starting);
    await Promise.race([starting, sleep(CLOSE_MS, undefined, { ref: false })]);
    const all = [...this.#all.values()];
    if (all.length === 0) return;
    const done = Promise.all(all.map((stream) => stream.done));
    await Promise.race([done, sleep(waitMs, undefined, { ref: false })]);
    for (const stream of this.#all.values()) stream.stop({ status: 'aborted', reason: 'shutdown' });
    await Promise.race([done, sleep(CLOSE_MS, undefined, { ref: false })]);
    for (const stream of this.#all.values()) stream.close({ status: 'lost', reason: 'lease' });
  }

  onSubscribed(): void {
    // Messages of the time before did not arrive.
    for (const stream of this.#all.values()) stream.renew();
  }

  onInterrupted(): void {
    // Renewals make up for it.
  }

  onMessage(text: string): void {
    const message = decodeMessage(text);
    if (message) this.#all.get(String(JSON.parse(message.json)))?.renew();
  }

  #own(owner: string, stream: OwnedStream): void {
    if (this.#all.size === 0) this.broker.subscribe(stopsOf(this.#instance), this);
    this.#all.set(owner, stream);
    this.metrics.live = this.#all.size;
    this.metrics.started++;
    void this.#disown(owner, stream);
  }

  async #disown(owner: string, stream: OwnedStream): Promise<void> {
    const { status } = await stream.done;
    this.#all.delete(owner);
    this.metrics.live = this.#all.size;
    // Counted where the store was found to have lost it.
    if (status !== 'lost') this.metrics.ended[status]++;
    if (this.#all.size === 0) this.broker.unsubscribe(stopsOf(this.#instance));
  }

  /** Repeats a call that may be repeated until it succeeds. */
  async #attempt<T>(call: () => Promise<T>): Promise<T> {
    if (this.#isDraining) throw closing();
    for (const end = performance.now() + START_MS; ;) {
      try {
        return await call();
      } catch (error) {
        const isOver = performance.now() > end || this.#isDraining;
        if (isOver || (error as SseError).code !== 'SSE_UNAVAILABLE') throw error;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }
}

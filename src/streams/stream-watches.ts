import type { StreamState, StreamStore } from '../broker/streams.js';
import type { Channels } from '../channel/channels.js';

/** How long after the end of a lease the store is asked, in ms: nodes at different times, so that one of them ends the stream. */
const [LATE_MS, SPREAD_MS] = [20, 80];
/** How long until it is asked again, after a failure, or after the end, which readers may get late, in ms: from the first to the last time. */
const AGAIN_MS = [500, 30_000] as const;

interface Watch {
  readonly generation: string;
  /** For each reader, what to do when the store has lost the stream, or another one has taken its place. */
  readonly readers: Set<() => void>;
  /** How often in a row the store did not say that the stream is live. */
  failures: number;
  timer?: NodeJS.Timeout;
}

/**
 * Asks the store about the streams that have readers in this process, when their leases should have been renewed: a stream whose producer
 * was killed ends as lost, and an end whose message was lost is read. Cost: one script call for each stream and lease.
 */
export class StreamWatches {
  readonly #all = new Map<string, Watch>();

  constructor(
    private readonly store: StreamStore,
    private readonly channels: Channels,
  ) {}

  /**
   * @param onLost is called if the store has lost the stream, or another one has taken its place
   * @returns a function to call when the reader has left
   */
  add(id: string, { generation, leftMs, end }: StreamState, onLost: () => void): () => void {
    const key = `${id} ${generation}`;
    const watch = this.#all.get(key) ?? { generation, readers: new Set(), failures: 0 };
    this.#all.set(key, watch);
    const reader = () => onLost();
    watch.readers.add(reader);
    watch.timer ??= this.#later(id, watch, end ? AGAIN_MS[0] : leftMs);
    return () => {
      if (!watch.readers.delete(reader) || watch.readers.size > 0) return;
      clearTimeout(watch.timer);
      this.#all.delete(key);
    };
  }

  #later(id: string, watch: Watch, ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.#look(id, watch), ms + LATE_MS + SPREAD_MS * Math.random()).unref();
  }

  async #look(id: string, watch: Watch): Promise<void> {
    const state = await this.store.look(id, true).catch(() => 'failed' as const);
    if (watch.readers.size === 0) return;
    const isLost = state === undefined || (state !== 'failed' && state.generation !== watch.generation);
    if (isLost) return void Array.from(watch.readers, (onLost) => onLost());
    const isLive = state !== 'failed' && !state.end;
    if (isLive) watch.failures = 0;
    const again = Math.min(AGAIN_MS[0] * 2 ** watch.failures, AGAIN_MS[1]);
    watch.timer = this.#later(id, watch, isLive ? state.leftMs : again);
    if (!isLive) watch.failures++;
    if (state !== 'failed' && state.end) this.channels.catchUp(id, state.tip);
  }
}

import type { OwnedState, StreamAppend, StreamStart, StreamState, StreamStore } from '../broker/streams.js';

/** Counts the streams that calls of this process have found lost: each stream counts in one process. */
export class CountedStore implements StreamStore {
  constructor(
    private readonly store: StreamStore,
    private readonly onLost: () => void,
  ) {}

  start(channel: string, start: StreamStart): Promise<StreamState> {
    return this.#count(this.store.start(channel, start));
  }

  append(channel: string, append: StreamAppend): Promise<OwnedState | undefined> {
    return this.#count(this.store.append(channel, append));
  }

  look(channel: string, hasReaders: boolean): Promise<StreamState | undefined> {
    return this.#count(this.store.look(channel, hasReaders));
  }

  abort(channel: string, reason: string): Promise<StreamState | undefined> {
    return this.#count(this.store.abort(channel, reason));
  }

  async #count<T extends Partial<StreamState> | undefined>(call: Promise<T>): Promise<T> {
    const state = await call;
    if (state?.isLost) this.onLost();
    return state;
  }
}

import type { StreamState, StreamStore } from '../broker/streams.js';
import type { Channels } from '../channel/channels.js';
import type { Subscriber } from '../channel/subscribers.js';
import { StreamReader } from './stream-reader.js';
import { StreamWatches } from './stream-watches.js';

/** The readers of streams in this process. */
export class StreamReaders {
  readonly #watches: StreamWatches;

  constructor(
    private readonly store: StreamStore,
    private readonly channels: Channels,
  ) {
    this.#watches = new StreamWatches(store, channels);
  }

  /** The state of a stream that is going to have a reader. @throws SseError `SSE_UNAVAILABLE` */
  look(id: string): Promise<StreamState | undefined> {
    return this.store.look(id, true);
  }

  /** @param state if it is known: undefined means that nothing is kept of the stream */
  read(
    id: string,
    subscriber: Subscriber,
    start: { readonly lastEventId?: string; readonly state?: StreamState | undefined },
  ): { readonly ready: Promise<void>; readonly unsubscribe: () => void } {
    const { store, channels } = this;
    const reader = new StreamReader(id, subscriber, { store, channels, watches: this.#watches, ...start });
    void ('state' in start ? reader.begin(start.state) : reader.lookAndBegin());
    return { ready: reader.ready, unsubscribe: () => reader.close() };
  }
}

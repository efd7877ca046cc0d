import type { SseStreamEnd, StreamState, StreamStore } from '../broker/streams.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import type { Channels } from '../channel/channels.js';
import type { Subscriber } from '../channel/subscribers.js';
import { END_TYPE } from '../event/message.js';
import { StreamReader } from './stream-reader.js';
import { StreamWatches } from './stream-watches.js';

/** The readers of streams in this process. */
export class StreamReaders {
  readonly #watches: StreamWatches;
  /** Looks in flight, by stream. */
  readonly #looks = new Map<string, Promise<StreamState | undefined>>();

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
    const lookAgain = () => this.#lookAgain(id);
    const options = { store, channels, watches: this.#watches, lookAgain, ...start };
    const reader = new StreamReader(id, subscriber, options);
    void ('state' in start ? reader.begin(start.state) : reader.lookAndBegin());
    return { ready: reader.ready, unsubscribe: () => reader.close() };
  }

  /** Resolves with the end of a stream. */
  endOf(id: string, state: StreamState): Promise<SseStreamEnd> {
    return new Promise((resolve) => {
      const settle = (end: SseStreamEnd) => {
        resolve(end);
        queueMicrotask(() => reading.unsubscribe());
      };
      const lost = { status: 'lost', reason: 'expired' } as const;
      const next = ({ type, json }: ChannelEvent) => {
        if (type === 'sse.reset') settle(lost);
        if (type === END_TYPE) settle(JSON.parse(json) as SseStreamEnd);
      };
      const subscriber = { open: () => undefined, next, complete: () => settle(lost) };
      const reading = this.read(id, subscriber, { lastEventId: state.tip, state });
    });
  }

  /** Thousands of readers may have to look when Redis has lost their stream. */
  #lookAgain(id: string): Promise<StreamState | undefined> {
    const known = this.#looks.get(id);
    if (known) return known;
    const looking = this.store.look(id, true).finally(() => this.#looks.delete(id));
    this.#looks.set(id, looking);
    return looking;
  }
}

import type { SseStreamEnd, StreamState } from '../broker/streams.js';
import type { SseAccess } from '../connections/access.js';

/** The reader of a stream. All fields are optional. */
export interface SseAttachOptions extends SseAccess {
  /**
   * Whether the stream is going to start, for example when a queue gets to its job: while nothing is kept of the stream, a client without a
   * last event id is answered so that an `EventSource` reconnects after `retryMs`, instead of with 204.
   *
   * @default false
   */
  expected?: boolean;
}

/** A stream that a route delivers: the return value of an `@SseStream()` handler. */
export class SseStreamTarget {
  /** @internal */
  constructor(
    /** The id of the stream. */
    readonly id: string,
    /** @internal */
    readonly access: SseAccess = {},
    /** @internal */
    readonly isExpected = false,
  ) {}
}

/** A stream that was started. As the return value of an `@SseStream()` handler, it makes the request the first reader. */
export class SseStreamHandle extends SseStreamTarget {
  #done: Promise<SseStreamEnd> | undefined;

  /** @internal */
  constructor(
    id: string,
    private readonly stream: {
      readonly state: StreamState;
      readonly isOwn: boolean;
      end(): Promise<SseStreamEnd>;
    },
  ) {
    super(id);
  }

  /** Identifies this run of the stream: the cursor before its first event. Of two with the same id, the later one is greater. */
  get generation(): string {
    return this.stream.state.generation;
  }

  /** @internal of the start */
  get state(): StreamState {
    return this.stream.state;
  }

  /** Whether the call has started the stream; false where it has attached to a live one. */
  get isOwn(): boolean {
    return this.stream.isOwn;
  }

  /** Resolves with the end of the stream, when it is stored. */
  get done(): Promise<SseStreamEnd> {
    return (this.#done ??= this.stream.end());
  }
}

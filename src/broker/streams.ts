import { SseError, show } from '../common/sse.errors.js';

/**
 * How a stream has ended:
 * - `done`: its producer has returned, or called `end()`;
 * - `error`: its producer has thrown, or called `fail()`, or the stream has reached `maxBytes` or `maxMs`;
 * - `aborted`: it was stopped, replaced, or its node shut down;
 * - `lost`: its producer did not renew the lease, for example because its process was killed; or Redis lost events of the stream.
 */
export type SseStreamStatus = 'done' | 'error' | 'aborted' | 'lost';

/** The end of a stream, as the data of its last event, `sse.end`, has it. */
export interface SseStreamEnd {
  /** How it has ended. */
  readonly status: SseStreamStatus;
  /** Why, in a word or a sentence that clients may see; absent with `done`. */
  readonly reason?: string;
}

/** What the store knows of a stream. */
export interface StreamState {
  /** The cursor before the first event. Each start of a stream with the same id has a later one. */
  readonly generation: string;
  /** The cursor of the last event. */
  readonly tip: string;
  /** How much is left of the lease, in ms. */
  readonly leftMs: number;
  /** The name of the producer that may append. */
  readonly owner: string;
  /** The number of the last pack. */
  readonly number: number;
  readonly end?: SseStreamEnd;
  /** The reason of a request to stop. */
  readonly abort?: string;
  /** Whether it has readers, or needs none. */
  readonly isWatched: boolean;
  /** Whether this call has found that the stream is lost, and has ended it. */
  readonly isLost: boolean;
}

/** What a call of the owner returns. */
export type OwnedState = Pick<StreamState, 'owner' | 'end' | 'abort' | 'isWatched'>;

/** Events that are stored and sent together. */
export interface StreamPack {
  readonly count: number;
  /** As a JSON array. */
  readonly events: string;
}

/** How a stream starts. */
export interface StreamStart {
  /** A name that is not used again. */
  readonly owner: string;
  readonly leaseMs: number;
  readonly keepMs: number;
  /** Whether a live stream is ended as `aborted`, reason `replaced`. */
  readonly replaces: boolean;
  /** Whether the stream is to stop without readers. */
  readonly needsReaders: boolean;
}

/** What an owner appends. Without packs it renews the lease. */
export interface StreamAppend {
  readonly owner: string;
  readonly leaseMs: number;
  /** After how long all of the stream expires, if that is to be set: with the first pack, with the end, and every now and then. */
  readonly expiryMs?: number;
  /** The number of the first pack: packs count from 1. The store takes each number once. */
  readonly number: number;
  readonly packs: readonly StreamPack[];
  /** The end, which is then also the last event of the last pack. */
  readonly end?: SseStreamEnd;
}

/**
 * The part of a broker that stores streams. A stream is a channel whose events have one producer, the owner, and an end.
 *
 * Each call is atomic, and may be repeated: a lost reply needs no search. The owner holds a lease, which each of its calls renews. The
 * first call of any process after the lease has expired ends the stream as lost. A stream has one end, which is stored with its
 * last events; nothing is stored after it.
 *
 * All methods reject with SseError `SSE_UNAVAILABLE`; the call may then have been executed. Cost: one script call in Redis.
 */
export interface StreamStore {
  /**
   * Starts a stream, unless one with the id is live, and is not to be replaced.
   *
   * @returns the state, whose `owner` is the given one if the stream was started
   * @throws SseError `SSE_INPUT` if the channel has events that are not of a stream
   */
  start(channel: string, start: StreamStart): Promise<StreamState>;
  /**
   * Stores and sends packs, and the end. Nothing is stored of an owner that has lost its stream.
   *
   * @returns the state: with another owner, or an end, nothing more can be appended; undefined if nothing is kept of the stream
   */
  append(channel: string, append: StreamAppend): Promise<OwnedState | undefined>;
  /** Reads the state. @param hasReaders whether this process has readers of the stream */
  look(channel: string, hasReaders: boolean): Promise<StreamState | undefined>;
  /** Leaves a request to stop, which the owner gets with its next call. The first request counts. */
  abort(channel: string, reason: string): Promise<StreamState | undefined>;
}

/** The error of `publish()` to a stream. */
export const streamError = (channel: string): SseError =>
  new SseError(
    'SSE_INPUT',
    `Expected \`channel\` to be no stream, got ${show(channel)}: only its producer writes to it`,
  );

/** The error of a start on a channel that is in use. */
export const channelError = (channel: string): SseError =>
  new SseError('SSE_INPUT', `Expected \`id\` to be no channel with events, got ${show(channel)}`);

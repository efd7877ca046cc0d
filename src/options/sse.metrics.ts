/** The metrics of this process: see `SseService.stats()`. Counts are since the start. */
export interface SseStats {
  /** Whether events can be published and received. In memory always true. */
  connected: boolean;
  /**
   * - `up`: connected.
   * - `down`: Redis, or a master of the cluster, is unreachable, or slots have no master.
   * - `deaf`: Redis accepts events, but they do not arrive.
   */
  state: 'up' | 'down' | 'deaf';
  /** Whether the application is closing its connections and accepts no more. */
  draining: boolean;
  /** Channels that this process is subscribed to, for a few seconds beyond their last connection. */
  channels: number;
  /** Open connections: `@SseChannel()` responses and subscribers of `messages()`. */
  connections: number;
  /** Calls of `publish()`, and events of `publishAll()`, that the broker confirmed. */
  published: number;
  /** Calls of `publish()`, and events of `publishAll()`, that ended with `SSE_UNAVAILABLE`. */
  rejected: number;
  /** Events delivered to connections, counted per connection and before filters. */
  delivered: number;
  /** Those of them that the client had missed. */
  replayed: number;
  /** Each `sse.reset`, by its reason. A connection with several channels counts one for each. */
  resets: Readonly<Record<'unknown' | 'lost' | 'limit' | 'failed', number>>;
  /**
   * How often a channel read from its history what had not arrived: after an outage, because a message was lost, or because a
   * client was further ahead on another node.
   */
  gaps: number;
  /** Messages on subscribed channels that are no events. */
  dropped: number;
  /** `@SseChannel()` connections that were closed because the client did not read. */
  slow: number;
  /** How often an `@SseChannel()` client read too slowly and began to catch up from the history; counted per channel. */
  behind: number;
  /** Streams. */
  streams: SseStreamStats;
  /** Connections that were refused: for a limit, after a `disconnect()`, because an authorizer failed, or at shutdown. */
  refused: number;
}

/** The streams of this process. */
export interface SseStreamStats {
  /** Streams that this process produces. */
  readonly live: number;
  /** Streams that it has started. */
  readonly started: number;
  /** Streams that have ended, by status: `lost` where this process has found it, the others where they were produced. */
  readonly ended: Readonly<Record<'done' | 'error' | 'aborted' | 'lost', number>>;
}

/** An adapter for metrics, for the option `metrics`. Its methods must not throw. */
export interface SseMetrics {
  /**
   * Called when the application starts.
   *
   * @param stats the current metrics; it costs nothing
   * @returns the function to call when the application has shut down
   */
  start(stats: () => SseStats): () => void;
  /** A call of `publish()`, or an event of `publishAll()`, has ended after `ms`. Calls with unacceptable arguments are not reported. */
  publication(ms: number, outcome: 'published' | 'rejected'): void;
}

/** The default: metrics go nowhere. */
export const NO_METRICS: SseMetrics = Object.freeze({
  start: () => () => undefined,
  publication: () => undefined,
});

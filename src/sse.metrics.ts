/** What this process does right now, and has done since it started: see `SseService.stats()`. */
export interface SseStats {
  /** Whether events can be published and received. In memory always true. */
  connected: boolean;
  /** `down`: Redis, or a master of the cluster, is out of reach, or slots have no master; `deaf`: it takes events, and they do not arrive. Only `up` is connected. */
  state: 'up' | 'down' | 'deaf';
  /** Whether the application is ending its streams, and begins no others. */
  draining: boolean;
  /** Channels this process is subscribed to, a few seconds beyond their last stream. */
  channels: number;
  /** Open streams: `@SseChannel` responses and subscribers of `messages()`. */
  streams: number;
  /** Events that `publish()` was called with and the broker has confirmed. */
  published: number;
  /** Those that it was called with and that were not confirmed: `SSE_UNAVAILABLE`. */
  rejected: number;
  /** Events that streams were given: one for each stream, before filters. */
  delivered: number;
  /** Those of them that a client had missed, and came back for. */
  replayed: number;
  /** Each `sse.reset` that a stream got, by its reason; a stream of several channels gets one for each. */
  resets: Readonly<Record<'unknown' | 'lost' | 'limit' | 'failed', number>>;
  /**
   * Times that a channel got from its history what had not arrived: after an outage, or on its way; or not yet, as where a client
   * comes back that was further on another node.
   */
  gaps: number;
  /** Messages that arrived on subscribed channels but are no events. */
  dropped: number;
  /** Clients of `@SseChannel` that were cut because they did not read. */
  cut: number;
  /** How often a client of `@SseChannel` read too slowly and began to catch up from the history; counted per channel. */
  behind: number;
  /** Streams that were not begun: for a limit, after a `disconnect()`, because an authorizer failed, or the application is ending. */
  refused: number;
}

/** Where figures go, see the option `metrics`. Its methods must not throw. */
export interface SseMetrics {
  /**
   * The module starts.
   *
   * @param stats what the figures are, whenever it is asked; it costs nothing
   * @returns what is called when the application has ended
   */
  start(stats: () => SseStats): () => void;
  /** A call of `publish()` was answered by the broker after `ms`. What is refused as bad input does not get here. */
  publication(ms: number, outcome: 'published' | 'rejected'): void;
}

/** For those who want none. */
export const NO_METRICS: SseMetrics = Object.freeze({
  start: () => () => undefined,
  publication: () => undefined,
});

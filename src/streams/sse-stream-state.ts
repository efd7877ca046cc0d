import type { SseStreamStatus, StreamState } from '../broker/streams.js';

/** The state of a stream. */
export interface SseStreamState {
  /** `live`, or how it has ended; `missing` if nothing is kept of it. */
  readonly state: 'live' | SseStreamStatus | 'missing';
  /** Why it has ended. */
  readonly reason?: string;
  /** When it was started, by the clock of Redis. */
  readonly startedAt?: Date;
  /** Identifies this run of the stream: the id before its first event. A client that resumes after it gets the whole stream. */
  readonly generation?: string;
  /** The id of its last event. */
  readonly lastEventId?: string;
}

/** @param state undefined if nothing is kept of the stream */
export function describeState(state: StreamState | undefined): SseStreamState {
  if (!state) return { state: 'missing' };
  const { end, generation, tip } = state;
  return {
    state: end?.status ?? 'live',
    ...(end?.reason !== undefined && { reason: end.reason }),
    generation,
    startedAt: new Date(Number(generation.split('-')[0])),
    lastEventId: tip,
  };
}

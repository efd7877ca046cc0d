import type { ResetReason } from './channel-event.js';

/** What has happened in the channels of a process. */
export interface ChannelCounts {
  /** Messages that are no events. */
  dropped: number;
  /** Subscribers that were given up because they did not take what they were sent. */
  cut: number;
  /** How often a subscriber read too slowly and left live delivery to catch up. */
  behind: number;
  /** Events that subscribers were given: one for each of them. */
  delivered: number;
  /** Those of them that had been missed. */
  replayed: number;
  /** Times that a channel read from its history what had not arrived, or not yet. */
  gaps: number;
  /** Subscribers that were told that they have missed something. */
  readonly resets: Record<ResetReason, number>;
}

/** Before anything has happened. */
export const noCounts = (): ChannelCounts => ({
  dropped: 0,
  cut: 0,
  behind: 0,
  delivered: 0,
  replayed: 0,
  gaps: 0,
  resets: { unknown: 0, lost: 0, limit: 0, failed: 0 },
});

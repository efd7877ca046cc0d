import type { ResetReason } from './channel-event.js';

/** What has happened in the channels of a process, as `stats()` shows it. */
export interface ChannelMetrics {
  dropped: number;
  behind: number;
  delivered: number;
  replayed: number;
  gaps: number;
  readonly resets: Record<ResetReason, number>;
}

/** All zero. */
export const noMetrics = (): ChannelMetrics => ({
  dropped: 0,
  behind: 0,
  delivered: 0,
  replayed: 0,
  gaps: 0,
  resets: { unknown: 0, lost: 0, limit: 0, failed: 0 },
});

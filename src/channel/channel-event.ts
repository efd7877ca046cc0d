import type { Message } from '../broker/message.js';
import type { SseEvent } from '../event.js';

/**
 * Why continuity broke: the id is not known here; events after it cannot be had any more; or they are more than one
 * client gets (`history.maxReplayEvents`, `history.maxReplayBytes`).
 */
export type ResetReason = 'unknown' | 'lost' | 'limit';

/** An event on its way to all subscribers of a channel in this process, which share it. */
export interface ChannelEvent {
  readonly event: SseEvent;
  /** Its place in the channel: where it takes a stream to. */
  readonly cursor: string;
  /** The publisher's own id, if no other event that is kept had it first. */
  readonly ownId?: string;
  /** Characters of the JSON it came in. */
  readonly size: number;
  /** What subscribers make of it to send it, once for all of them: theirs. */
  encoded?: unknown;
}

/** A message as subscribers get it; one that has no place of its own gets the id of where they are. */
export function channelEvent(channel: string, message: Message, position: string): ChannelEvent {
  const { data, type, retry, id = position, cursor = position, reused, size } = message;
  const event: SseEvent = { id, channel, data };
  if (type !== undefined) event.type = type;
  if (retry !== undefined) event.retry = retry;
  const ownId = id === cursor || reused ? undefined : id;
  return { event: Object.freeze(event), cursor, ownId, size, encoded: undefined };
}

/** Tells a stream that it goes on from `cursor`, and not from where the subscriber is. */
export function resetEvent(channel: string, reason: ResetReason, cursor: string): ChannelEvent {
  const event = Object.freeze({ type: 'sse.reset', id: cursor, channel, data: { channel, reason } });
  return { event, cursor, size: 0 };
}

import type { Message } from '../broker/message.js';
import type { SseEvent } from '../event.js';

/**
 * Why continuity broke: the id is not known here; events after it cannot be had any more; or they are more than one
 * client gets (`history.maxReplayEvents`, `history.maxReplayBytes`).
 */
export type ResetReason = 'unknown' | 'lost' | 'limit';

/** An event on its way to all subscribers of a channel in this process, which share it. */
export class ChannelEvent {
  #event: SseEvent | undefined;
  /** What subscribers make of it to send it, once for all of them: theirs. */
  encoded: unknown;

  constructor(
    readonly channel: string,
    private readonly message: Pick<Message, 'json' | 'type' | 'retry' | 'size'>,
    readonly id: string,
    /** Its place in the channel: where it takes a connection to. */
    readonly cursor: string,
    /** The publisher's own id, if no other event that is kept had it first. */
    readonly ownId?: string,
  ) {}

  /** The data as it was published. */
  get json(): string {
    return this.message.json;
  }

  get type(): string | undefined {
    return this.message.type;
  }

  get retry(): number | undefined {
    return this.message.retry;
  }

  /** Characters of the JSON it came in. */
  get size(): number {
    return this.message.size;
  }

  /** As subscribers in the process get it. It is made for the first of them: most events have none. */
  get event(): SseEvent {
    return (this.#event ??= this.#make());
  }

  #make(): SseEvent {
    const { id, channel, type, retry, json } = this;
    const event: SseEvent = { id, channel, data: JSON.parse(json) as unknown };
    if (type !== undefined) event.type = type;
    if (retry !== undefined) event.retry = retry;
    return Object.freeze(event);
  }
}

/** A message as subscribers get it; one that has no place of its own gets the id of where they are. */
export function channelEvent(channel: string, message: Message, position: string): ChannelEvent {
  const { id = position, cursor = position, reused } = message;
  const ownId = id === cursor || reused ? undefined : id;
  return new ChannelEvent(channel, message, id, cursor, ownId);
}

/** Tells a stream that it goes on from `cursor`, and not from where the subscriber is. */
export function resetEvent(channel: string, reason: ResetReason, cursor: string): ChannelEvent {
  const json = JSON.stringify({ channel, reason });
  return new ChannelEvent(channel, { json, type: 'sse.reset', size: 0 }, cursor, cursor);
}

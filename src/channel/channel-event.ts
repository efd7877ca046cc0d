import type { Message } from '../broker/message.js';
import type { SseEvent } from '../event.js';

/**
 * Why continuity broke: the id is not known here; events after it cannot be had any more; they are more than one
 * client gets (`history.maxReplayEvents`, `history.maxReplayBytes`); or the application's filter fails on one of them.
 */
export type ResetReason = 'unknown' | 'lost' | 'limit' | 'failed';

/** Key of an event's cursor, for the module's operators: the event's id may be the publisher's own. */
const POSITION = Symbol('position');

/** Where an event takes a connection to; '' where there is no history. */
export function positionOf(event: SseEvent & { readonly [POSITION]?: string }): string {
  return event[POSITION] ?? event.id;
}

/** An event on its way to all subscribers of a channel in this process, which share it. */
export class ChannelEvent {
  #event: SseEvent | undefined;
  /** What subscribers make of it to send it, once for all of them: theirs. */
  encoded: unknown;

  readonly id: string;
  /** Its place in the channel: where it takes a connection to. */
  readonly cursor: string;
  /** The publisher's own id, if no other event that is kept had it first. */
  readonly ownId: string | undefined;

  /** @param position where subscribers are: the place of a message that has none of its own */
  constructor(
    readonly channel: string,
    private readonly message: Message,
    position: string,
  ) {
    const { id = position, cursor = position, reused } = message;
    this.id = id;
    this.cursor = cursor;
    this.ownId = id === cursor || reused ? undefined : id;
  }

  /** The same event for subscribers at another position. An event without a cursor takes that position as its own. */
  at(position: string): ChannelEvent {
    return new ChannelEvent(this.channel, this.message, position);
  }

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
    Object.defineProperty(event, POSITION, { value: this.cursor });
    return Object.freeze(event);
  }
}

/** Channels in the data of a control event: one as a text, several as a list. */
export const channelData = (channels: readonly string[]): { channel: string | readonly string[] } => ({
  channel: channels.length === 1 ? channels[0]! : channels,
});

/** Tells a client its position, of which no event has told it. */
export function positionEvent(id: string, channels: readonly string[]): SseEvent {
  return Object.freeze({ id, channel: channels[0]!, type: 'sse.position', data: channelData(channels) });
}

/** Tells a stream that it goes on from `cursor`, and not from where the subscriber is. */
export function resetEvent(channel: string, reason: ResetReason, cursor: string): ChannelEvent {
  const json = JSON.stringify({ channel, reason });
  return new ChannelEvent(channel, { json, type: 'sse.reset', size: 0 }, cursor);
}

import type { Message } from '../event/message.js';
import type { SseEvent } from '../event/event.js';

/**
 * Why events are missing: the id is unknown; events after it are no longer stored; they exceed the limits of one
 * replay (`history.maxReplayEvents`, `history.maxReplayBytes`); or the application's filter fails on one of them.
 */
export type ResetReason = 'unknown' | 'lost' | 'limit' | 'failed';

/** Key of the cursor of an `SseEvent`, whose id may be the publisher's. For the module's operators. */
const POSITION = Symbol('position');

/** The position of a connection after an event; '' without history. */
export function positionOf(event: SseEvent & { readonly [POSITION]?: string }): string {
  return event[POSITION] ?? event.id;
}

/** An event that all subscribers of a channel in this process share. */
export class ChannelEvent {
  #event: SseEvent | undefined;
  /** A cache of the subscribers: the event as they send it. */
  encoded: unknown;

  readonly id: string;
  /** The position of a connection after the event. */
  readonly cursor: string;
  /** The publisher's own id, unless an earlier stored event has the same id. */
  readonly ownId: string | undefined;

  /** @param position the position of the subscribers, for a message without a cursor */
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

  /** The position before the event, if it is stored. */
  get prev(): string | undefined {
    return this.message.prev;
  }

  /** Whether it can be read again. */
  get isStored(): boolean {
    return this.message.cursor !== undefined;
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

  /** Characters of its message. */
  get size(): number {
    return this.message.size;
  }

  /** The event for subscribers in the process. It is made on demand: most events have no such subscriber. */
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

/** The data of a control event. One channel is a text, several are a list. */
export const controlData = (
  channels: readonly string[],
  isTruncated = false,
): { channel: string | readonly string[]; truncated?: true } => ({
  channel: channels.length === 1 ? channels[0]! : channels,
  ...(isTruncated && { truncated: true }),
});

/** Tells a subscriber a position that no event has told it, and whether it was to begin with more events than the limits allow. */
export function controlEvent(
  type: 'sse.open' | 'sse.position',
  id: string,
  channels: readonly string[],
  isTruncated = false,
): SseEvent {
  return Object.freeze({ id, channel: channels[0]!, type, data: controlData(channels, isTruncated) });
}

/**
 * What a subscriber in the process gets when its connection begins, or further channels are added to it: nothing for a usual
 * beginning, as `Subscriber.open()` has it.
 */
export function openingEvent(
  isFirst: boolean,
  id: string | undefined,
  live: readonly string[],
  isTruncated?: boolean,
): SseEvent | undefined {
  if (id === undefined || live.length === 0 || (isFirst && !isTruncated)) return undefined;
  return controlEvent(isFirst ? 'sse.open' : 'sse.position', id, live, isTruncated);
}

/** The event with the id of a connection, if that differs. */
export function withId(event: SseEvent, id = event.id): SseEvent {
  return id === event.id ? event : Object.freeze({ ...event, id });
}

/** Tells a client that events are missing, and that its connection continues from `cursor`. */
export function resetEvent(channel: string, reason: ResetReason, cursor: string): ChannelEvent {
  const json = JSON.stringify({ channel, reason });
  return new ChannelEvent(channel, { json, type: 'sse.reset', size: 0 }, cursor);
}

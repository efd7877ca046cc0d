import { createHash } from 'node:crypto';
import { isCursor, isPosition } from '../event/event.js';
import { Limiter } from '../common/limiter.js';
import type { ChannelEvent } from './channel-event.js';
import type { Subscriber } from './subscribers.js';

/** The start position of each channel of a connection. A channel without one begins live. */
export type Starts = ReadonlyMap<string, string>;

/** Length of a tag, and its length if two channels of the connection have equal short tags. */
const [SHORT, LONG] = [4, 8];

/** Identifies a channel in a composite cursor. */
export function tagOf(channel: string, length = SHORT): string {
  return createHash('sha256').update(channel).digest('base64url').slice(0, length);
}

/** The position of a connection in several channels. */
interface Position {
  /** One per channel; undefined while the channel has no position. */
  readonly parts: readonly (string | undefined)[];
  readonly id: string;
}

/**
 * Makes the ids of connections with the same channels. An id is a composite cursor: one part `<tag>.<cursor>` per channel, joined by `~`.
 * The tag is a hash of the channel's name, so a part stays valid when the set or the order of the channels changes. The numbers of
 * the cursor are in base 36. Each id contains all channels, because an `EventSource` sends back the last id only.
 *
 * Six channels make some 110 characters of `[A-Za-z0-9._~-]`, 100 channels 1.9 kB. Up to 128 of them, browsers send a
 * Last-Event-ID to another origin without a preflight request.
 */
export class ChannelSet {
  /** How many connections use this object. Connections at the same position share ids, so each id is made once. */
  connections = 0;
  readonly #tags: readonly string[];
  #last: { readonly from: Position; readonly event: ChannelEvent; readonly to: Position } | undefined;

  constructor(readonly channels: readonly string[]) {
    const tags = channels.map((channel) => tagOf(channel));
    const areUnique = new Set(tags).size === channels.length;
    this.#tags = areUnique ? tags : channels.map((channel) => tagOf(channel, LONG));
  }

  part(index: number, cursor: string): string {
    return `${this.#tags[index]}.${shorten(cursor)}`;
  }

  at(parts: Position['parts'], id = parts.filter((part) => part !== undefined).join('~')): Position {
    return this.#last?.to.id === id ? this.#last.to : { parts, id };
  }

  /** Caches the last step: each event goes to all connections in a row, and most of them are at the same position. */
  after(from: Position, event: ChannelEvent, index: number): Position {
    if (this.#last?.from === from && this.#last.event === event) return this.#last.to;
    const [before, part] = [from.parts[index], this.part(index, event.cursor)];
    const id = before === undefined ? undefined : from.id.replace(before, part);
    const to = this.at(from.parts.with(index, part), id);
    this.#last = { from, event, to };
    return to;
  }
}

/** Merges several channels into one connection: each leg subscribes to one channel and forwards its events with composite ids. */
export class CompositeSubscriber {
  readonly legs: readonly Subscriber[];
  readonly #opened = new Map<number, string>();
  #position: Position;
  #isTruncated = false;

  constructor(
    private readonly set: ChannelSet,
    private readonly subscriber: Subscriber,
    starts: Starts = new Map(),
  ) {
    // A channel that is not open yet keeps the client's own position in the ids, so that a reconnection loses nothing.
    const partOf = (channel: string, index: number) => {
      const start = starts.get(channel);
      return isCursor(start) ? set.part(index, start) : undefined;
    };
    this.#position = set.at(set.channels.map(partOf));
    const turns = new Limiter(1);
    this.legs = set.channels.map((channel, index) => ({
      open: (cursor, _, isTruncated = false) => {
        this.#isTruncated ||= isTruncated;
        // A client with an unusable id has no position before it has got the reset.
        if (starts.get(channel) !== '') this.#opened.set(index, set.part(index, cursor!));
      },
      next: (event) => {
        this.#position = set.after(this.#position, event, index);
        subscriber.next(event, this.#position.id);
      },
      complete: () => subscriber.complete(),
      disconnectSlow: subscriber.disconnectSlow && (() => subscriber.disconnectSlow!()),
      drained: () => subscriber.drained?.(),
      get isBehind() {
        return subscriber.isBehind;
      },
      turns,
    }));
  }

  /** Opens the subscriber, or adds further channels, after their legs were opened. See `Subscriber.open()`. */
  open(live: readonly string[]): void {
    const { parts } = this.#position;
    this.#position = this.set.at(parts.map((part, index) => this.#opened.get(index) ?? part));
    this.#opened.clear();
    const isTruncated = this.#isTruncated;
    this.#isTruncated = false;
    this.subscriber.open(this.#position.id, live, isTruncated);
  }
}

/**
 * Finds the start position of each channel in a Last-Event-ID.
 *
 * A composite cursor is split if it names any of the channels. Anything else is a position in the only channel
 * of the connection. An id that cannot be a position becomes '', which gives a reset.
 *
 * @returns undefined if the id may be a position in one of several channels, and only the store knows in which
 */
export function splitLastEventId(
  channels: readonly string[],
  lastEventId: string | undefined,
): Map<string, string> | undefined {
  if (lastEventId === undefined) return new Map();
  const parts = parseCompositeCursor(lastEventId);
  const starts = new Map<string, string>();
  for (const channel of channels) {
    const tag = tagOf(channel, LONG);
    const cursor = parts?.get(tag) ?? parts?.get(tag.slice(0, SHORT));
    if (cursor !== undefined) starts.set(channel, cursor);
  }
  if (starts.size > 0) return starts;
  if (channels.length === 1) return new Map([[channels[0]!, lastEventId]]);
  return isPosition(lastEventId) ? undefined : new Map(channels.map((channel) => [channel, '']));
}

function parseCompositeCursor(text: string): Map<string, string> | undefined {
  const parts = new Map<string, string>();
  for (const part of text.split('~')) {
    const [, tag, short] = /^([\w-]{4}|[\w-]{8})\.([\da-z]+-[\da-z]+)$/.exec(part) ?? [];
    const cursor = short && lengthen(short);
    if (!tag || !isCursor(cursor)) return undefined;
    parts.set(tag, cursor);
  }
  return parts;
}

const inBase = (cursor: string, from: number, to: number) =>
  cursor
    .split('-')
    .map((number) => Number.parseInt(number, from).toString(to))
    .join('-');

let last = { cursor: '', short: '' };

/** The cursor in base 36. Stays decimal if the numbers are too large to be restored exactly: other programs may write such cursors. */
function shorten(cursor: string): string {
  // Each event goes to all of its connections in a row.
  if (last.cursor === cursor) return last.short;
  const short = inBase(cursor, 10, 36);
  last = { cursor, short: lengthen(short) === cursor ? short : cursor };
  return last.short;
}

/** In base 36 the time has too few digits to be taken for a decimal cursor until the year 5188. */
const lengthen = (short: string) => (isCursor(short) ? short : inBase(short, 36, 10));

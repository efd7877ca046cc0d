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

/** A connection moves from one id to another, by an event that moves one part. */
interface Step {
  readonly from: string;
  readonly event: ChannelEvent;
  readonly part: string;
  readonly to: string;
}

const joined = (parts: readonly (string | undefined)[]) =>
  parts.filter((part) => part !== undefined).join('~');

/**
 * Makes the ids of connections with the same channels. An id is a composite cursor: one part `<tag>.<cursor>` per channel, joined by `~`.
 * The tag is a hash of the channel's name, so a part stays valid when the set or the order of the channels changes. The numbers of
 * the cursor are in base 36. Each id contains all channels, because an `EventSource` sends back the last id only.
 *
 * Six channels make some 110 characters of `[A-Za-z0-9._~-]`, 100 channels 1.9 kB. Up to 128 of them, browsers send a
 * Last-Event-ID to another origin without a preflight request.
 */
export class ChannelSet {
  /** How many connections use this object. Those at the same position share ids, so each id is made once. */
  connections = 0;
  /** The last step: each event goes to all connections in a row, and most of them are at the same position. */
  last: Step | undefined;
  readonly #tags: readonly string[];

  constructor(readonly channels: readonly string[]) {
    const tags = channels.map((channel) => tagOf(channel));
    const areUnique = new Set(tags).size === channels.length;
    this.#tags = areUnique ? tags : channels.map((channel) => tagOf(channel, LONG));
  }

  part(index: number, cursor: string): string {
    return `${this.#tags[index]}.${shorten(cursor)}`;
  }

  /** The id at these cursors, one per channel. */
  idAt(cursors: readonly string[]): string {
    return joined(cursors.map((cursor, index) => this.part(index, cursor)));
  }
}

/** Subscribes to one channel of a connection. */
class Leg implements Subscriber {
  constructor(
    private readonly composite: CompositeSubscriber,
    private readonly index: number,
    readonly turns: Limiter,
  ) {}

  open(cursor: string | undefined, _live: readonly string[], isTruncated = false): void {
    this.composite.opened(this.index, cursor!, isTruncated);
  }

  next(event: ChannelEvent): void {
    this.composite.next(event, this.index);
  }

  complete(): void {
    this.composite.subscriber.complete();
  }

  drained(): Promise<void> | undefined {
    return this.composite.subscriber.drained?.();
  }

  disconnectSlow(): void {
    this.composite.subscriber.disconnectSlow?.();
  }

  get isBehind(): boolean | undefined {
    return this.composite.subscriber.isBehind;
  }
}

/** Merges several channels into one connection: each leg subscribes to one channel and forwards its events with composite ids. */
export class CompositeSubscriber {
  readonly legs: readonly Subscriber[];
  readonly #opened = new Map<number, string>();
  #isTruncated = false;
  /** One part per channel; undefined while the channel has no position. */
  #parts: (string | undefined)[];
  #id: string;
  /** The channel that has moved last, and the id around its part: usually the next event is of the same channel. */
  #moving = -1;
  #before = '';
  #after = '';

  constructor(
    private readonly set: ChannelSet,
    readonly subscriber: Subscriber,
    private readonly starts: Starts = new Map(),
  ) {
    // A channel that is not open yet keeps the client's own position in the ids, so that a reconnection loses nothing.
    const partOf = (channel: string, index: number) => {
      const start = starts.get(channel);
      return isCursor(start) ? set.part(index, start) : undefined;
    };
    this.#parts = set.channels.map(partOf);
    this.#id = joined(this.#parts);
    const turns = new Limiter(1);
    this.legs = set.channels.map((_, index) => new Leg(this, index, turns));
  }

  /** A leg was opened. */
  opened(index: number, cursor: string, isTruncated: boolean): void {
    this.#isTruncated ||= isTruncated;
    const start = this.starts.get(this.set.channels[index]!);
    // A client with an unusable id has no position before it has got the reset.
    if (start !== '') this.#opened.set(index, this.set.part(index, cursor));
  }

  /** A leg got an event. */
  next(event: ChannelEvent, index: number): void {
    const { set } = this;
    const isOwn = set.connections < 2;
    this.#id = isOwn ? this.#move(index, set.part(index, event.cursor)) : this.#moveWithOthers(event, index);
    this.subscriber.next(event, this.#id, isOwn);
  }

  /** Opens the subscriber, or adds further channels, after their legs were opened. See `Subscriber.open()`. */
  open(live: readonly string[]): void {
    this.#parts = this.#parts.map((part, index) => this.#opened.get(index) ?? part);
    this.#opened.clear();
    this.#moving = -1;
    this.#id = joined(this.#parts);
    const isTruncated = this.#isTruncated;
    this.#isTruncated = false;
    this.subscriber.open(this.#id, live, isTruncated);
  }

  /** @returns the id with another part of one channel */
  #move(index: number, part: string): string {
    if (index !== this.#moving) {
      const before = joined(this.#parts.slice(0, index));
      const after = joined(this.#parts.slice(index + 1));
      this.#before = before && `${before}~`;
      this.#after = after && `~${after}`;
      this.#moving = index;
    }
    this.#parts[index] = part;
    return this.#before + part + this.#after;
  }

  /** The same, with the id that another connection has made if that was at the same position. */
  #moveWithOthers(event: ChannelEvent, index: number): string {
    const { last } = this.set;
    if (last?.event === event && last.from === this.#id) {
      if (index !== this.#moving) this.#moving = -1;
      this.#parts[index] = last.part;
      return last.to;
    }
    const part = this.set.part(index, event.cursor);
    const to = this.#move(index, part);
    this.set.last = { from: this.#id, event, part, to };
    return to;
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

/** Up to the year 5188, a time has fewer digits in base 36 than a decimal cursor. */
const MAX_SHORT_MS = 36 ** 9;

let last = { cursor: '', short: '' };

/** The cursor in base 36. It stays decimal if it could not be restored exactly: other programs may write such cursors. */
function shorten(cursor: string): string {
  // Each event goes to all of its connections in a row.
  if (last.cursor === cursor) return last.short;
  const [ms, n] = cursor.split('-').map(Number) as [number, number];
  const isExact = ms < MAX_SHORT_MS && `${ms}-${n}` === cursor;
  last = { cursor, short: isExact ? `${ms.toString(36)}-${n.toString(36)}` : cursor };
  return last.short;
}

function lengthen(short: string): string {
  const [ms, n] = short.split('-').map((number) => Number.parseInt(number, 36));
  return isCursor(short) ? short : `${ms}-${n}`;
}

import { createHash } from 'node:crypto';
import { isCursor } from '../event.js';
import { Limiter } from '../limiter.js';
import type { Subscriber } from './subscribers.js';

/**
 * The cursor of a stream of several channels: one part `<tag>.<cursor>` per channel, joined by `~`. The tag is
 * taken from the channel's name, so that the parts hold when the set or the order of the channels changes.
 *
 * Three channels make at most 116 characters of `[A-Za-z0-9._~-]`: up to 128 of them, browsers send a
 * Last-Event-ID to another origin without asking it first.
 */
export function formatCompositeCursor(parts: ReadonlyMap<string, string>): string {
  return Array.from(parts, ([tag, cursor]) => `${tag}.${cursor}`).join('~');
}

/**
 * Where the channels of a stream begin, by a Last-Event-ID: channels that are not in the map begin live.
 *
 * A composite cursor is taken apart, if it names any of the channels. Anything else is a position in the one channel
 * of the stream.
 *
 * @returns undefined where it is of one of several channels, and only they know of which
 */
export function splitLastEventId(
  channels: readonly string[],
  lastEventId: string | undefined,
): Map<string, string> | undefined {
  if (lastEventId === undefined) return new Map();
  const parts = parseCompositeCursor(lastEventId);
  const named = channels.filter((channel) => parts?.has(tagOf(channel)));
  if (named.length > 0) return new Map(named.map((channel) => [channel, parts!.get(tagOf(channel))!]));
  return channels.length === 1 ? new Map([[channels[0]!, lastEventId]]) : undefined;
}

/** One subscriber for each channel, which together make one stream whose ids are composite cursors. */
export function mergeInto(subscriber: Subscriber, channels: readonly string[]): Subscriber[] {
  const parts = new Map<string, string>();
  const turns = new Limiter(1);
  let closed = channels.length;
  return channels.map(tagOf).map((tag) => ({
    open(cursor) {
      parts.set(tag, cursor!);
      if (--closed > 0) return;
      subscriber.open(formatCompositeCursor(parts));
    },
    next: (event) => subscriber.next(event, formatCompositeCursor(parts.set(tag, event.cursor))),
    complete: () => subscriber.complete(),
    drained: () => subscriber.drained?.(),
    get isBehind() {
      return subscriber.isBehind;
    },
    cut: subscriber.cut && (() => subscriber.cut!()),
    turns,
  }));
}

function parseCompositeCursor(text: string): Map<string, string> | undefined {
  const parts = new Map<string, string>();
  for (const part of text.split('~')) {
    const cursor = part.slice(TAG_LENGTH + 1);
    if (part[TAG_LENGTH] !== '.' || !isCursor(cursor)) return undefined;
    parts.set(part.slice(0, TAG_LENGTH), cursor);
  }
  return parts;
}

/** 48 bits: two channels of one stream share a tag once in 10¹⁴ pairs. */
const TAG_LENGTH = 8;

/** What stands for a channel in a composite cursor. */
export function tagOf(channel: string): string {
  return createHash('sha256').update(channel).digest('base64url').slice(0, TAG_LENGTH);
}

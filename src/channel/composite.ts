import { createHash } from 'node:crypto';
import { isCursor, type SseEvent } from '../event.js';
import type { Subscriber } from './channel-hub.js';

/**
 * The cursor of a stream of several channels: one part `<tag>.<cursor>` per channel, joined by `~`. The tag is
 * taken from the channel's name, so that the parts hold when the set or the order of the channels changes.
 *
 * Three channels make at most 116 characters of `[A-Za-z0-9._~-]`: up to 128 of them, browsers send a
 * Last-Event-ID to another origin without asking it first.
 */
export function formatCompositeCursor(cursors: ReadonlyMap<string, string>): string {
  return Array.from(cursors, ([channel, cursor]) => `${tagOf(channel)}.${cursor}`).join('~');
}

/**
 * What a Last-Event-ID says about each of a stream's channels.
 *
 * A composite cursor is taken apart: channels it does not name start live (undefined). Anything else stands for
 * every channel as it is, for the hub to know or not.
 */
export function splitLastEventId(
  channels: readonly string[],
  lastEventId: string | undefined,
): Map<string, string | undefined> {
  const parts = lastEventId === undefined ? undefined : parseCompositeCursor(lastEventId);
  const named = channels.some((channel) => parts?.has(tagOf(channel)));
  return new Map(channels.map((channel) => [channel, named ? parts?.get(tagOf(channel)) : lastEventId]));
}

/** One subscriber for each channel, which together make one stream whose ids are composite cursors. */
export function mergeInto(subscriber: Subscriber, channels: readonly string[]): Subscriber[] {
  const cursors = new Map<string, string>();
  const early: [channel: string, event: SseEvent, cursor: string][] = [];
  const forward = (channel: string, event: SseEvent, cursor: string) => {
    const id = formatCompositeCursor(cursors.set(channel, cursor));
    subscriber.next(Object.freeze({ ...event, id }), id);
  };
  return channels.map((channel) => ({
    open(cursor) {
      cursors.set(channel, cursor);
      if (cursors.size < channels.length) return;
      subscriber.open(formatCompositeCursor(cursors));
      for (const [name, event, position] of early) forward(name, event, position);
    },
    next(event, cursor) {
      if (cursors.size === channels.length) forward(channel, event, cursor);
      // A reset of one channel, while the others are still to be opened in the same turn.
      else early.push([channel, event, cursor]);
    },
    complete: () => subscriber.complete(),
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

function tagOf(channel: string): string {
  return createHash('sha256').update(channel).digest('base64url').slice(0, TAG_LENGTH);
}

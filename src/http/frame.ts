import type { ChannelEvent } from '../channel/channel-event.js';
import type { SseEvent } from '../event.js';

const LINE_BREAK = /\r\n|\r|\n/;

/**
 * An event as `text/event-stream`, byte for byte what Nest's own `@Sse()` writes for it.
 *
 * `type` and `id` hold no line break: `publish()` refuses it, and the decoder drops what others publish with one.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function encodeEvent(event: Omit<SseEvent, 'channel'>): string {
  return `${beforeId(event)}${event.id}${afterId(event)}`;
}

const beforeId = ({ type }: Pick<SseEvent, 'type'>) => (type ? `event: ${type}\nid: ` : 'id: ');

function afterId({ retry, data }: Pick<SseEvent, 'retry' | 'data'>): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  const lines = LINE_BREAK.test(text) ? text.split(LINE_BREAK).join('\ndata: ') : text;
  return retry === undefined ? `\ndata: ${lines}\n\n` : `\nretry: ${retry}\ndata: ${lines}\n\n`;
}

/** The encoded event: made for its first subscriber, shared by all the others, but for an id of the stream's own. */
export function frameOf(event: ChannelEvent, id?: string): Buffer {
  event.frame ??= Buffer.from(encodeEvent(event.event));
  return id === undefined ? event.frame : withId(event.frame, event.event, id);
}

/** A frame with another id in it: the rest is encoded once, and copied. */
function withId(frame: Buffer, event: SseEvent, id: string): Buffer {
  const start = Buffer.byteLength(beforeId(event));
  const end = start + Buffer.byteLength(event.id);
  const copy = Buffer.allocUnsafe(frame.length - end + start + id.length);
  frame.copy(copy, 0, 0, start);
  copy.write(id, start, 'latin1');
  frame.copy(copy, start + id.length, end);
  return copy;
}

let lastOpen: { id: string; channels: readonly string[]; frame: Buffer } | undefined;

/** `sse.open`, which clients that come in a row have in common. */
export function openFrame(id: string, channels: readonly string[]): Buffer {
  const isLast = lastOpen?.id === id && lastOpen.channels.join() === channels.join();
  if (!isLast) {
    const channel = channels.length === 1 ? channels[0]! : channels;
    lastOpen = {
      id,
      channels,
      frame: Buffer.from(encodeEvent({ type: 'sse.open', id, data: { channel } })),
    };
  }
  return lastOpen!.frame;
}

/** A keep-alive: a comment, which clients ignore. */
export const HEARTBEAT = Buffer.from(':\n\n');

const RETRIES = 64;

/**
 * Frames that set the time after which a client comes back, and are no events: between half of `ms` and half as much
 * again, so that clients which lost their node together do not come back together.
 */
export function retryFrames(ms: number): Buffer[] {
  return Array.from({ length: RETRIES }, (_, n) =>
    Buffer.from(`retry: ${Math.round(ms * (0.5 + n / (RETRIES - 1)))}\n\n`),
  );
}

import type { SseEvent } from '../event.js';

const LINE_BREAK = /\r\n|\r|\n/;

/**
 * An event as `text/event-stream`, byte for byte what Nest's own `@Sse()` writes for it.
 *
 * `type` and `id` hold no line break: `publish()` refuses it, and the decoder drops what others publish with one.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function encodeEvent({ type, id, retry, data }: Omit<SseEvent, 'channel'>): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  const lines = LINE_BREAK.test(text) ? text.split(LINE_BREAK).join('\ndata: ') : text;
  const event = type ? `event: ${type}\n` : '';
  const time = retry === undefined ? '' : `retry: ${retry}\n`;
  return `${event}id: ${id}\n${time}data: ${lines}\n\n`;
}

const frames = new WeakMap<SseEvent, Buffer>();

/** The encoded event: made for its first subscriber, shared by all the others. */
export function frameOf(event: SseEvent): Buffer {
  let frame = frames.get(event);
  if (!frame) {
    frame = Buffer.from(encodeEvent(event));
    frames.set(event, frame);
  }
  return frame;
}

/** A keep-alive: a comment, which clients ignore. */
export const HEARTBEAT = Buffer.from(':\n\n');

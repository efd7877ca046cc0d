import { channelData, type ChannelEvent } from '../channel/channel-event.js';
import type { SseEvent } from '../event.js';

const LINE_BREAK = /\r\n|\r|\n/;

/**
 * An event as `text/event-stream`, byte for byte what Nest's own `@Sse()` writes for it; but numbers keep the digits they were
 * published with.
 *
 * `type` and `id` hold no line break: `publish()` refuses it, and the decoder drops what others publish with one.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function encodeEvent(event: Omit<SseEvent, 'channel'>, json = JSON.stringify(event.data)): string {
  return `${beforeId(event.type)}${event.id}${afterId(json, event.retry)}`;
}

const beforeId = (type?: string) => (type ? `event: ${type}\nid: ` : 'id: ');

function afterId(json: string, retry?: number): string {
  const text = json.startsWith('"') ? (JSON.parse(json) as string) : json;
  const lines = LINE_BREAK.test(text) ? text.split(LINE_BREAK).join('\ndata: ') : text;
  return retry === undefined ? `\ndata: ${lines}\n\n` : `\nretry: ${retry}\ndata: ${lines}\n\n`;
}

/** A piece of a stream: one object for all who are sent it. */
export class Frame {
  constructor(
    private readonly before: string,
    private readonly id = '',
    private readonly after = '',
  ) {}

  /** With its own id, or with one of the stream's. */
  text(id = this.id): string {
    return `${this.before}${id}${this.after}`;
  }
}

/** The frame of an event: encoded for its first subscriber, shared by all the others. */
export function frameOf(event: ChannelEvent): Frame {
  if (event.encoded instanceof Frame) return event.encoded;
  const frame = new Frame(beforeId(event.type), event.id, afterId(event.json, event.retry));
  event.encoded = frame;
  return frame;
}

type ControlType = 'sse.open' | 'sse.position';
const last = new Map<ControlType, { id: string; channels: readonly string[]; frame: Frame }>();

/** A control event that says where its client is. Clients that are told the same in a row share the frame. */
export function controlFrame(type: ControlType, id: string, channels: readonly string[]): Frame {
  const made = last.get(type);
  if (made?.id === id && made.channels.join() === channels.join()) return made.frame;
  const frame = new Frame(encodeEvent({ type, id, data: channelData(channels) }));
  last.set(type, { id, channels, frame });
  return frame;
}

/**
 * A keep-alive comment. It is a line of the next block: some clients take the empty line that would end a block of its own
 * for an event without data.
 */
export const HEARTBEAT = new Frame(':\n');

/** Sets the reconnection time, which clients do when they have read the line; of the next block for the same reason. */
const retryOf = (ms: number) => new Frame(`retry: ${Math.round(ms)}\n`);

/** For a client that is sent away: not before `ms`, and not all at once. */
export function retryFrame(ms: number): Frame {
  return retryOf(ms * (1 + Math.random() / 2));
}

const RETRIES = 64;

/**
 * What streams begin with: between half of `ms` and half as much again, so that clients which lost their node together do
 * not come back together.
 */
export function retryFrames(ms: number): Frame[] {
  return Array.from({ length: RETRIES }, (_, n) => retryOf(ms * (0.5 + n / (RETRIES - 1))));
}

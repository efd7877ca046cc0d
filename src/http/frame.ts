import { controlData, type ChannelEvent } from '../channel/channel-event.js';
import type { SseEvent } from '../event/event.js';

const LINE_BREAK = /\r\n|\r|\n/;

/**
 * An event as `text/event-stream`, byte for byte as Nest's own `@Sse()` writes it; but numbers keep the digits they were
 * published with.
 *
 * `type` and `id` contain no line breaks: `publish()` refuses them, and the decoder drops messages with them.
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

/** A part of a response, shared by all connections that get it. */
export class Frame {
  #isAscii: boolean | undefined;

  constructor(
    private readonly before: string,
    private readonly id = '',
    readonly after = '',
  ) {}

  get isAscii(): boolean {
    this.#isAscii ??= [this.before, this.id, this.after].every(
      (part) => Buffer.byteLength(part) === part.length,
    );
    return this.#isAscii;
  }

  /** With its own id, or with that of the connection. */
  text(id = this.id): string {
    return `${this.before}${id}${this.after}`;
  }

  /** The same, up to the id. */
  beginning(id = this.id): string {
    return this.before + id;
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
const last = new Map<ControlType, { id: string; data: string; frame: Frame }>();

/** A control event with a position. Connections that get the same one in a row share the frame. */
export function controlFrame(
  type: ControlType,
  id: string,
  channels: readonly string[],
  isTruncated = false,
): Frame {
  const made = last.get(type);
  const data = controlData(channels, isTruncated);
  const key = JSON.stringify(data);
  if (made?.id === id && made.data === key) return made.frame;
  const frame = new Frame(encodeEvent({ type, id, data }));
  last.set(type, { id, data: key, frame });
  return frame;
}

/**
 * A heartbeat comment. It is a line of the next block: some clients take the empty line after a block of its own
 * for an event without data.
 */
export const HEARTBEAT = new Frame(':\n');

/** Sets the reconnection time. Clients apply it when they have read the line, which is part of the next block for the same reason. */
const retryOf = (ms: number) => `retry: ${Math.round(ms)}\n`;

/** For a refused or disconnected client: reconnect after `ms`, with jitter. */
export function retryFrame(ms: number): Frame {
  return new Frame(retryOf(ms * (1 + Math.random() / 2)));
}

const RETRIES = 64;

/**
 * The first lines of responses: the reconnection time, `retryMs` ± 50 %, so that clients which lost their node together do
 * not reconnect together; and the interval of the heartbeats, so that clients which read comments find a broken connection.
 */
export function firstFrames(retryMs: number, heartbeatMs: number): Frame[] {
  const lines = (n: number) => `${retryOf(retryMs * (0.5 + n / (RETRIES - 1)))}:heartbeat ${heartbeatMs}\n`;
  return Array.from({ length: RETRIES }, (_, n) => new Frame(lines(n)));
}

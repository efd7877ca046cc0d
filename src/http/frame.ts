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

/** An event in bytes, made once for all of its subscribers in this process. */
class EncodedEvent {
  #whole: Buffer | undefined;
  #parts: [before: Buffer, after: Buffer] | undefined;

  constructor(private readonly event: SseEvent) {}

  get whole(): Buffer {
    this.#whole ??= Buffer.from(encodeEvent(this.event));
    return this.#whole;
  }

  /** Around an id of the stream's own: the rest is encoded once, and copied. */
  withId(id: string): Buffer {
    this.#parts ??= [Buffer.from(beforeId(this.event)), Buffer.from(afterId(this.event))];
    const [before, after] = this.#parts;
    const frame = Buffer.allocUnsafe(before.length + id.length + after.length);
    before.copy(frame);
    frame.write(id, before.length, 'latin1');
    after.copy(frame, before.length + id.length);
    return frame;
  }
}

const encoded = new WeakMap<SseEvent, EncodedEvent>();
/** An event goes to all of its subscribers in a row: most of them need no look-up. */
let last: { event: SseEvent; bytes: EncodedEvent } | undefined;

/** The encoded event: made for its first subscriber, shared by all the others, but for an id of the stream's own. */
export function frameOf(event: SseEvent, id = event.id): Buffer {
  if (last?.event !== event) {
    let bytes = encoded.get(event);
    if (!bytes) {
      bytes = new EncodedEvent(event);
      encoded.set(event, bytes);
    }
    last = { event, bytes };
  }
  return id === event.id ? last.bytes.whole : last.bytes.withId(id);
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

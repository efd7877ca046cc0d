import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Subscriber } from '../channel/channel-hub.js';
import type { SseEvent } from '../event.js';
import { frameOf } from './frame.js';

/** Bytes that may wait for a client that does not read; beyond it is cut, and resumes by its last event id. */
const MAX_PENDING_BYTES = 1_048_576;

const HEAD = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // no-transform keeps compression middleware and proxies from holding events back.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
};

/** What of a subscriber's stream is its own. */
export interface EventStreamOptions {
  channels: readonly string[];
  /** Whether the client came with a Last-Event-ID: it needs no `sse.open` to have a cursor. */
  resumes: boolean;
  filter?: (event: SseEvent) => boolean;
  /** Headers that others have set, to go out with the head. */
  headers: Record<string, number | string | string[] | undefined>;
}

/** One HTTP response that subscribes to channels. The head goes out with the first byte. */
export class EventStream implements Subscriber {
  constructor(
    private readonly response: ServerResponse,
    private readonly options: EventStreamOptions,
  ) {
    // A write may still meet a socket that has just been closed; that must not end the process.
    response.on('error', () => response.destroy());
  }

  open(cursor: string): void {
    this.sendHead();
    if (this.options.resumes) return;
    const { channels } = this.options;
    const channel = channels.length === 1 ? channels[0]! : channels;
    this.write(frameOf({ type: 'sse.open', id: cursor, channel: channels[0]!, data: { channel } }));
  }

  next(event: SseEvent): void {
    const { filter } = this.options;
    if (filter && !event.type?.startsWith('sse.') && !filter(event)) return;
    this.write(frameOf(event));
  }

  complete(): void {
    if (this.response.writableEnded) return;
    this.sendHead();
    this.response.end();
  }

  sendHead(): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    for (const [name, value] of Object.entries(this.options.headers)) {
      if (value !== undefined) response.setHeader(name, value);
    }
    tuneSocket(response.req);
    response.writeHead(200, HEAD);
    response.flushHeaders();
  }

  write(frame: Buffer): void {
    const { response } = this;
    if (response.destroyed || response.writableEnded) return;
    this.sendHead();
    response.write(frame);
    if (response.writableLength > MAX_PENDING_BYTES) response.destroy();
  }
}

/** In HTTP/2 the socket belongs to all streams of a session. */
function tuneSocket(request: IncomingMessage): void {
  if (request.httpVersionMajor > 1) return;
  request.socket.setTimeout(0);
  request.socket.setNoDelay(true);
  request.socket.setKeepAlive(true);
}

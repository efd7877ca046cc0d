import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Subscriber } from '../channel/subscribers.js';
import type { SseEvent } from '../event.js';
import { frameOf, HEARTBEAT } from './frame.js';

/**
 * Bytes that may wait for a client that does not read, besides those of the last turn of the event loop; beyond it is
 * cut, and comes back with its last event id.
 */
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
}

/** One HTTP response that subscribes to channels. The head goes out with the first byte. */
export class EventStream implements Subscriber {
  /** The turn of the event loop of the last write. */
  #turn = -1;
  /** Written in one go, when all that is to be sent now is here: a page of history costs one write. */
  #frames: Buffer[] = [];

  constructor(
    private readonly response: ServerResponse,
    private readonly options: EventStreamOptions,
  ) {
    // A write may still meet a socket that has just been closed; that must not end the process.
    response.on('error', () => response.destroy());
  }

  open(cursor: string | undefined): void {
    this.sendHead();
    if (this.options.resumes || cursor === undefined) return;
    const { channels } = this.options;
    const channel = channels.length === 1 ? channels[0]! : channels;
    this.write(frameOf({ type: 'sse.open', id: cursor, channel: channels[0]!, data: { channel } }));
  }

  next(event: SseEvent): void {
    const { filter } = this.options;
    if (filter && !event.type?.startsWith('sse.') && !filter(event)) return;
    this.write(frameOf(event));
  }

  /** When the client has read what was written, or is gone. */
  drained(): Promise<void> | undefined {
    const { response } = this;
    this.#flush();
    if (!response.writableNeedDrain || response.destroyed) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        response.off('drain', done).off('close', done);
        resolve();
      };
      response.on('drain', done).on('close', done);
    });
  }

  complete(): void {
    if (this.response.writableEnded) return;
    this.sendHead();
    this.#flush();
    this.response.end();
  }

  sendHead(): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    tuneSocket(response.req);
    response.writeHead(200, HEAD);
    response.flushHeaders();
  }

  /** A keep-alive comment, if the stream has begun: a head must not go out before its time. */
  heartbeat(): void {
    if (this.response.headersSent) this.write(HEARTBEAT);
  }

  write(frame: Buffer): void {
    const { response } = this;
    if (response.destroyed || response.writableEnded) return;
    this.sendHead();
    if (this.#frames.push(frame) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const { response } = this;
    const frames = this.#frames;
    if (frames.length === 0 || response.destroyed || response.writableEnded) return;
    this.#frames = [];
    // What was written in this turn of the event loop has had no chance to leave yet.
    if (this.#turn !== currentTurn()) {
      this.#turn = currentTurn();
      if (response.writableLength > MAX_PENDING_BYTES) {
        response.destroy();
        return;
      }
    }
    response.write(frames.length === 1 ? frames[0] : Buffer.concat(frames));
  }
}

let turn = 0;
let counting = false;

/** A number for each turn of the event loop in which it is asked for. */
function currentTurn(): number {
  if (!counting) {
    counting = true;
    setImmediate(() => {
      counting = false;
      turn++;
    });
  }
  return turn;
}

/** In HTTP/2 the socket belongs to all streams of a session; an injected request has none. */
function tuneSocket({ httpVersionMajor, socket }: IncomingMessage): void {
  if (httpVersionMajor > 1 || !(socket instanceof Socket)) return;
  socket.setTimeout(0);
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
}

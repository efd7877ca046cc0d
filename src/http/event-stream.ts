import { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Subscriber } from '../channel/subscribers.js';
import type { SseEvent } from '../event.js';
import type { Batch } from './batch.js';
import { frameOf, HEARTBEAT, openFrame } from './frame.js';
import type { OpenStream } from './open-streams.js';
import type { Outbox, Outgoing } from './outbox.js';

/** Bytes that may wait for a client when the next ones are to be sent: beyond it is cut, and comes back by its id. */
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
  number: number;
  channels: readonly string[];
  /** Whether the client came with a Last-Event-ID: it needs no `sse.open` to have a cursor. */
  resumes: boolean;
  filter?: (event: SseEvent) => boolean;
  /** The frame that tells the client when to come back. */
  retry: Buffer;
  onCut: () => void;
}

/** One HTTP response that subscribes to channels. It is written once per turn of the event loop. */
export class EventStream implements Subscriber, Outgoing, OpenStream {
  /** What this turn has brought so far. */
  #batch: Batch | undefined;
  /** Where chunks may be written, once the head is out: where nothing stands between the response and its socket. */
  #socket: Socket | undefined;
  #sent = 0;

  constructor(
    private readonly response: ServerResponse,
    private readonly outbox: Outbox,
    private readonly options: EventStreamOptions,
  ) {
    // A write may still meet a socket that has just been closed; that must not end the process.
    response.on('error', () => response.destroy());
  }

  open(cursor: string | undefined): void {
    this.begin();
    const { resumes, channels } = this.options;
    if (!resumes && cursor !== undefined) this.#append(openFrame(cursor, channels));
  }

  next(event: SseEvent, _cursor: string, id?: string): void {
    const { filter } = this.options;
    if (filter && !event.type?.startsWith('sse.') && !filter(event)) return;
    this.#append(frameOf(event, id));
  }

  /** When the client has read what was written. */
  drained(): Promise<void> | undefined {
    this.flush();
    const { response } = this;
    const target = this.#socket ?? response;
    if (!target.writableNeedDrain) return undefined;
    return new Promise((resolve) => target.once('drain', resolve));
  }

  complete(): void {
    if (this.response.writableEnded) return;
    this.begin();
    this.flush();
    this.response.end();
  }

  destroy(): void {
    this.response.destroy();
  }

  closed(): Promise<void> {
    return new Promise((resolve) => this.response.once('close', resolve));
  }

  get number(): number {
    return this.options.number;
  }

  /** The head, and the time after which the client is to come back; if they are not on their way. */
  begin(): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    response.setTimeout(0);
    response.writeHead(200, HEAD);
    this.#append(this.options.retry);
  }

  /** A keep-alive comment, if the stream has begun: a head must not go out before its time. */
  heartbeat(): void {
    if (this.response.headersSent) this.#append(HEARTBEAT);
  }

  get sent(): number {
    return this.#sent;
  }

  get pending(): number {
    return (this.#socket ?? this.response).writableLength;
  }

  /** Ends the connection of a client that does not read. */
  cut(): void {
    if (this.response.destroyed) return;
    this.options.onCut();
    this.response.destroy();
  }

  flush(): void {
    const batch = this.#batch;
    if (!batch) return;
    this.#batch = undefined;
    const { response } = this;
    if (response.destroyed || response.writableEnded) return;
    if (this.pending > MAX_PENDING_BYTES) return this.cut();
    this.#sent += batch.size;
    const socket = this.#socket ?? plainSocketOf(response);
    if (!socket) {
      response.write(batch.bytes);
      return;
    }
    // What Node's own `write()` does for each client and chunk, done once: a third less CPU (`bench/fanout`, turn).
    const chunk = response.chunkedEncoding ? batch.chunk : batch.bytes;
    if (this.#socket) {
      socket.write(chunk);
    } else {
      this.#socket = socket;
      // With what is left of the head in one write (`bench/fanout`, idle: accept).
      socket.cork();
      response.flushHeaders();
      socket.write(chunk);
      socket.uncork();
    }
  }

  #append(frame: Buffer): void {
    this.#batch = (this.#batch ?? this.outbox.begin(this)).with(frame);
  }
}

/** None in HTTP/2, where somebody has replaced `write()`, and while an earlier response of the connection goes on. */
function plainSocketOf(response: ServerResponse): Socket | undefined {
  const isPlain = response.write === ServerResponse.prototype.write && response.socket instanceof Socket;
  return isPlain ? response.socket : undefined;
}

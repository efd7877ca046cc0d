import { OutgoingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Batch } from './batch.js';
import { type AnyResponse, isGone } from './platform.js';

/** Writes the batches of one response, on HTTP/1.1 past Node's own `write()`, and knows what waits for the client. */
export class ResponseWriter {
  /** Where chunks may be written, once the head is out: where nothing stands between the response and its socket. */
  #socket: Socket | undefined;
  #hasBegun = false;
  #sent = 0;
  #drain: Promise<void> | undefined;

  /** @param first goes out with the head */
  constructor(
    private readonly response: AnyResponse,
    private readonly first: Batch,
  ) {}

  /** Bytes that were written. */
  get sent(): number {
    return this.#sent;
  }

  /** Bytes that wait for the client. */
  get pending(): number {
    return this.#target.writableLength;
  }

  /** Is another number whenever the client has read something. */
  get progress(): number {
    // Node has no public figure for how much of a write is done. This is the one that its own time-outs go by.
    const { _handle } = (this.#socket ?? {}) as { _handle?: { writeQueueSize?: number } | null };
    return this.#sent - this.pending - (_handle?.writeQueueSize ?? 0);
  }

  /** What a `write()` that somebody has put in front of Node's throws is thrown here. */
  write(batch: Batch): void {
    if (isGone(this.response) || this.response.writableEnded) return;
    this.#socket ??= plainSocketOf(this.response);
    const socket = this.#socket;
    // Its client has said goodbye, and Node has answered.
    if (socket && !socket.writable) return;
    if (this.#hasBegun) return this.#put(batch);
    this.#hasBegun = true;
    // With the head in one go; which must be out before what goes past the response.
    socket?.cork();
    if (socket) this.response.flushHeaders();
    this.#put(this.first);
    if (!batch.isEmpty) this.#put(batch);
    socket?.uncork();
  }

  /** Resolves when the client has read what was written; undefined where that need not be waited for. */
  drained(): Promise<void> | undefined {
    const target = this.#target;
    if (!target.writableNeedDrain) return undefined;
    this.#drain ??= new Promise((resolve) => {
      target.once('drain', () => {
        this.#drain = undefined;
        resolve();
      });
    });
    return this.#drain;
  }

  get #target(): Writable {
    return this.#socket ?? this.response.stream ?? this.response;
  }

  #put(batch: Batch): void {
    // What Node's own `write()` does for each client and chunk, done once: a sixth less CPU (`bench/fanout`, turn: the floors).
    const bytes = this.#socket && this.response.chunkedEncoding ? batch.chunk : batch.bytes;
    this.#sent += bytes.length;
    (this.#socket ?? this.response).write(bytes);
  }
}

/** None in HTTP/2, and where somebody has replaced `write()`. */
function plainSocketOf(response: AnyResponse): Socket | undefined {
  const isPlain = response.write === OutgoingMessage.prototype.write && response.socket instanceof Socket;
  return isPlain ? response.socket : undefined;
}

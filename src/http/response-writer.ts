import { OutgoingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Batch } from './batch.js';
import { GzipMember, type Piece } from './gzip.js';
import { type AnyResponse, isGone } from './platform.js';

/** Writes batches to one response and tracks how much of them the client has not read. On HTTP/1.1 it bypasses Node's `write()`. */
export class ResponseWriter {
  /** Takes chunks directly once the headers are sent, if no middleware stands between the response and its socket. */
  #socket: Socket | undefined;
  #hasBegun = false;
  /** Bytes written so far. */
  #sent = 0;
  #drain: Promise<void> | undefined;
  readonly #gzip: GzipMember | undefined;

  /**
   * @param first is sent with the response headers
   * @param gzip from how many bytes on batches are compressed; undefined: the response is not compressed
   */
  constructor(
    private readonly response: AnyResponse,
    private readonly first: Batch,
    gzip?: number,
  ) {
    if (gzip !== undefined) this.#gzip = new GzipMember(gzip);
  }

  /** Bytes that the client has not read. */
  get pending(): number {
    return this.#target.writableLength;
  }

  /** Changes whenever the client has read something. */
  get progress(): number {
    const { socket, stream } = this.response;
    const written = this.#sent - this.pending;
    // HTTP/2 does not tell which stream of a session the client reads.
    if (stream) return written + (socket?.bytesWritten ?? 0);
    // Node does not publish the progress of a single write. Its own socket timeouts use this field.
    const { _handle } = (socket ?? {}) as { _handle?: { writeQueueSize?: number } | null };
    return written - (_handle?.writeQueueSize ?? 0);
  }

  /** Throws what `response.write()` throws: middleware may have replaced it. */
  write(batch: Batch): void {
    if (isGone(this.response) || this.response.writableEnded) return;
    this.#socket ??= plainSocketOf(this.response);
    const socket = this.#socket;
    // The client has closed its side, and Node has closed ours.
    if (socket && !socket.writable) return;
    if (this.#hasBegun) return this.#put(batch);
    this.#hasBegun = true;
    // One packet with the headers, which must be sent before anything bypasses the response.
    socket?.cork();
    if (socket) this.response.flushHeaders();
    if (this.#gzip) this.#send(GzipMember.header);
    this.#put(this.first);
    if (!batch.isEmpty) this.#put(batch);
    socket?.uncork();
  }

  /** Ends the response. One that is destroyed has no trailer, so that its client notices. */
  end(): void {
    const { response } = this;
    const isWritable = !isGone(response) && this.#socket?.writable !== false;
    if (this.#gzip && this.#hasBegun && isWritable) this.#send(this.#gzip.end());
    response.end();
  }

  /** Resolves when the client has read everything written; undefined if it need not wait. */
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
    if (!this.#gzip) return this.#send(batch);
    const part = batch.gzip(this.#gzip.minBytes);
    this.#gzip.add(part);
    this.#send(part);
  }

  #send(piece: Piece): void {
    // Chunked once for all clients; Node's `write()` would do it for each: a sixth less CPU (`bench/fanout`, turn: the floors).
    const bytes = this.#socket && this.response.chunkedEncoding ? piece.chunk : piece.bytes;
    this.#sent += bytes.length;
    (this.#socket ?? this.response).write(bytes);
  }
}

/** None in HTTP/2, or if middleware has replaced `write()`. */
function plainSocketOf(response: AnyResponse): Socket | undefined {
  const isPlain = response.write === OutgoingMessage.prototype.write && response.socket instanceof Socket;
  return isPlain ? response.socket : undefined;
}

import { OutgoingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Batch } from './batch.js';
import { detach } from './detached-socket.js';
import { GzipMember, type Piece } from './gzip.js';
import { type AnyResponse, isGone } from './platform.js';
import { drainOf, progressOf, SocketWriter } from './socket-writer.js';
import type { IsIdle, Writer, WriterOwner } from './writer.js';

export const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // no-transform keeps compression middleware and proxies from holding events back.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
};

/** Writes batches to one response. On HTTP/1.1 it bypasses Node's `write()`. */
export class ResponseWriter implements Writer {
  /** Takes chunks directly once the headers are sent, if no middleware stands between the response and its socket. */
  #socket: Socket | undefined;
  #hasBegun = false;
  /** Bytes written so far. */
  #sent = 0;
  #drain: Promise<void> | undefined;
  readonly #onClose = () => this.owner.onClosed();
  readonly #gzip: GzipMember | undefined;

  /**
   * @param first is sent with the response headers
   * @param gzip from how many bytes on batches are compressed; undefined: the response is not compressed
   */
  constructor(
    private readonly response: AnyResponse,
    private readonly first: Batch,
    private readonly owner: WriterOwner,
    gzip?: number,
  ) {
    if (gzip !== undefined) this.#gzip = new GzipMember(gzip);
    // A write may meet a socket that has just been closed. Without a listener, that would end the process.
    response.on('error', destroy);
    response.once('close', this.#onClose);
    // Node keeps an HTTP/2 stream with unsent bytes open if the client has reset it without an error code.
    response.stream?.once('aborted', () => response.destroy());
  }

  get pending(): number {
    return this.#target.writableLength;
  }

  get progress(): number {
    const { socket, stream } = this.response;
    const written = this.#sent - this.pending;
    // HTTP/2 does not tell which stream of a session the client reads.
    return stream ? written + (socket?.bytesWritten ?? 0) : progressOf(socket, written);
  }

  get hasBegun(): boolean {
    return this.response.headersSent;
  }

  get isGone(): boolean {
    return isGone(this.response);
  }

  get hasEnded(): boolean {
    return this.response.writableEnded;
  }

  begin(headers?: Readonly<Record<string, string>>): boolean {
    const { response } = this;
    if (response.headersSent || isGone(response)) return false;
    const { httpVersionMajor, socket } = response.req;
    // Switches off the server's time-out. In HTTP/2 it would be that of the session; an injected request has no socket.
    if (httpVersionMajor === 1 && socket instanceof Socket) socket.setTimeout(0);
    response.writeHead(200, { ...HEADERS, ...headers });
    return true;
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

  drained(): Promise<void> | undefined {
    const target = this.#target;
    if (!target.writableNeedDrain) return undefined;
    this.#drain ??= drainOf(target, () => (this.#drain = undefined));
    return this.#drain;
  }

  /** A response that is destroyed has no trailer, so that its client notices. */
  end(): void {
    const { response } = this;
    const isWritable = !isGone(response) && this.#socket?.writable !== false;
    if (this.#gzip && this.#hasBegun && isWritable) this.#send(this.#gzip.end());
    response.end();
  }

  destroy(): void {
    const { response } = this;
    if (response.destroyed) return;
    // A response that is queued behind another one has no socket, so Node does not emit `close`.
    const isQueued = response.socket === null && !response.writableFinished;
    response.destroy();
    if (isQueued) response.emit('close');
  }

  detached(isIdle: IsIdle): Writer | undefined {
    const { response } = this;
    if (!this.#socket || this.#socket !== response.socket || !response.chunkedEncoding) return undefined;
    response.off('close', this.#onClose);
    if (detach(response, (listener) => listener === destroy || isIdle(listener))) {
      return new SocketWriter(this.#socket, response, this.owner, this.#gzip);
    }
    response.once('close', this.#onClose);
    return undefined;
  }

  get #target(): Socket | NonNullable<AnyResponse['stream']> | AnyResponse {
    return this.#socket ?? this.response.stream ?? this.response;
  }

  #put(batch: Batch): void {
    this.#send(this.#gzip ? this.#gzip.add(batch) : batch);
  }

  #send(piece: Piece): void {
    // Chunked once for all clients; Node's `write()` would do it for each: a sixth less CPU (`bench/fanout`, turn: the floors).
    const bytes = this.#socket && this.response.chunkedEncoding ? piece.chunk : piece.bytes;
    this.#sent += bytes.length;
    if (typeof bytes === 'string') this.#socket!.write(bytes, 'latin1');
    else (this.#socket ?? this.response).write(bytes);
  }
}

/** A listener of the responses themselves: one for all. */
function destroy(this: AnyResponse): void {
  this.destroy();
}

/** None in HTTP/2, or if middleware has replaced `write()`. */
function plainSocketOf(response: AnyResponse): Socket | undefined {
  const isPlain = response.write === OutgoingMessage.prototype.write && response.socket instanceof Socket;
  return isPlain ? response.socket : undefined;
}

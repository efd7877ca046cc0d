import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Batch } from './batch.js';
import type { GzipMember } from './gzip.js';
import type { AnyResponse } from './platform.js';
import { close, replaceMethods } from './detached-response.js';
import { beginStream, endStream, giveBack } from './server-sockets.js';
import type { Writer, WriterOwner } from './writer.js';

const LAST_CHUNK = '0\r\n\r\n';
const BLANK = /^[\r\n]*$/;
const WRITER = Symbol('writer');

type HeldSocket = Socket & { [WRITER]?: SocketWriter | undefined };

/** Writes batches to a socket whose response is detached, in the middle of its chunked body. */
export class SocketWriter implements Writer {
  readonly hasBegun = true;
  #hasEnded = false;
  #drain: Promise<void> | undefined;
  /** Bytes that the client has sent behind its request. */
  #unread: Buffer | undefined;
  /** Whether the socket is closed behind the response. */
  readonly #isLast: boolean;
  /** Code of the application may still have it. */
  readonly #response: WeakRef<AnyResponse>;

  constructor(
    private readonly socket: Socket,
    response: AnyResponse,
    private readonly owner: WriterOwner,
    private readonly gzip?: GzipMember,
  ) {
    (socket as HeldSocket)[WRITER] = this;
    beginStream(socket);
    // One function for all sockets: closures would cost more than all else that is kept.
    socket.on('data', onData).on('end', onEnd).on('close', onClose);
    const { shouldKeepAlive, _last } = response as AnyResponse & { _last?: boolean };
    this.#isLast = !shouldKeepAlive || _last !== false;
    this.#response = new WeakRef(response);
    replaceMethods(response, this, owner);
  }

  get pending(): number {
    return this.socket.writableLength;
  }

  get progress(): number {
    return progressOf(this.socket, this.socket.bytesWritten - this.pending);
  }

  get isGone(): boolean {
    return this.socket.destroyed;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  begin(): boolean {
    return false;
  }

  write(batch: Batch): void {
    this.put((this.gzip ? this.gzip.add(batch) : batch).chunk);
  }

  /** @param chunk of HTTP/1.1 */
  put(chunk: Buffer | string, callback?: () => void): void {
    // The client may have closed its side.
    if (!this.#hasEnded && this.socket.writable) this.socket.write(chunk, 'latin1', callback);
  }

  drained(): Promise<void> | undefined {
    if (!this.socket.writableNeedDrain) return undefined;
    this.#drain ??= drainOf(this.socket, () => (this.#drain = undefined));
    return this.#drain;
  }

  end(): void {
    if (this.#hasEnded) return;
    if (this.gzip) this.put(this.gzip.end().chunk);
    this.#hasEnded = true;
    if (this.socket.writable) this.socket.write(LAST_CHUNK, (error) => error ?? this.#leave());
  }

  destroy(): void {
    // It may serve another request by now.
    if ((this.socket as HeldSocket)[WRITER] === this) this.socket.destroy();
  }

  detached(): undefined {
    return undefined;
  }

  onData(bytes: Buffer): void {
    // Old clients send a line break behind a request; Node ignores it, too.
    if (!this.#unread && BLANK.test(bytes.toString('latin1'))) return;
    this.#unread = this.#unread ? Buffer.concat([this.#unread, bytes]) : bytes;
    // Otherwise the request would wait for ever.
    this.socket.pause();
    this.owner.complete('client');
  }

  onClosed(hasFinished = false): void {
    const { socket } = this;
    (socket as HeldSocket)[WRITER] = undefined;
    endStream(socket);
    const response = this.#response.deref();
    try {
      if (response) close(response, hasFinished);
    } finally {
      this.owner.onClosed();
    }
  }

  #leave(): void {
    const { socket } = this;
    socket.off('data', onData).off('end', onEnd).off('close', onClose);
    if (this.#isLast) socket.destroySoon();
    else giveBack(socket, this.#unread);
    this.onClosed(true);
  }
}

const writerOf = (socket: HeldSocket) => socket[WRITER]!;

function onData(this: Socket, bytes: Buffer): void {
  writerOf(this).onData(bytes);
}

/** As Node's HTTP server does where the client has closed its side. */
function onEnd(this: Socket): void {
  this.end();
}

function onClose(this: Socket): void {
  writerOf(this).onClosed();
}

/** Bytes that the client, or the kernel, has taken. Node does not publish the progress of a single write; its own socket timeouts use this field. */
export function progressOf(socket: Socket | null, written: number): number {
  const { _handle } = (socket ?? {}) as { _handle?: { writeQueueSize?: number } | null };
  return written - (_handle?.writeQueueSize ?? 0);
}

export function drainOf(target: Writable, onDrained: () => void): Promise<void> {
  return new Promise((resolve) => {
    target.once('drain', () => {
      onDrained();
      resolve();
    });
  });
}

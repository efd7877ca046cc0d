import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Batch } from './batch.js';
import { giveBack } from './detached-socket.js';
import type { GzipMember } from './gzip.js';
import type { AnyResponse } from './platform.js';
import type { Writer, WriterOwner } from './writer.js';

const LAST_CHUNK = '0\r\n\r\n';
const WRITER = Symbol('writer');

type HeldSocket = Socket & { [WRITER]?: SocketWriter | undefined };

/** Writes batches to a socket whose response has been let go, in the middle of its chunked body. */
export class SocketWriter implements Writer {
  readonly hasBegun = true;
  #hasEnded = false;
  #drain: Promise<void> | undefined;
  /** What the client has sent behind its request. */
  #unread: Buffer | undefined;
  /** Code of the application may still have the response, and wait for its end. */
  readonly #response: WeakRef<AnyResponse>;

  constructor(
    private readonly socket: Socket,
    response: AnyResponse,
    private readonly owner: WriterOwner,
    private readonly gzip?: GzipMember,
  ) {
    (socket as HeldSocket)[WRITER] = this;
    // One function for all sockets: closures would cost more than all else that is kept.
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    this.#response = new WeakRef(response);
    response.end = () => (owner.complete(), response);
    response.destroy = () => (this.destroy(), response);
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
    // The client may have closed its side.
    if (this.#hasEnded || !this.socket.writable) return;
    this.socket.write((this.gzip ? this.gzip.add(batch) : batch).chunk, 'latin1');
  }

  drained(): Promise<void> | undefined {
    if (!this.socket.writableNeedDrain) return undefined;
    this.#drain ??= drainOf(this.socket, () => (this.#drain = undefined));
    return this.#drain;
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (!this.socket.writable) return;
    if (this.gzip) this.socket.write(this.gzip.end().chunk, 'latin1');
    this.socket.write(LAST_CHUNK, (error) => error ?? this.#leave());
  }

  destroy(): void {
    // It may serve another request by now.
    if ((this.socket as HeldSocket)[WRITER] === this) this.socket.destroy();
  }

  detached(): undefined {
    return undefined;
  }

  onData(bytes: Buffer): void {
    this.#unread = this.#unread ? Buffer.concat([this.#unread, bytes]) : bytes;
    // Otherwise the request would wait for ever.
    this.socket.pause();
    this.owner.complete();
  }

  onClosed(): void {
    (this.socket as HeldSocket)[WRITER] = undefined;
    const response = this.#response.deref();
    if (response) response.destroyed = true;
    response?.emit('close');
    this.owner.onClosed();
  }

  #leave(): void {
    const { socket } = this;
    socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
    this.onClosed();
    giveBack(socket, this.#unread);
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

/** `close` follows. */
function onError(): void {}

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

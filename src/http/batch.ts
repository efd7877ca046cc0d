import type { Frame } from './frame.js';
import { GzipPart, type Piece } from './gzip.js';

/**
 * The frames that a client gets in one turn of the event loop, as the last step of a path of frames.
 *
 * Clients that get the same frames are at the same step. Finding the step costs one comparison per client and event, and its bytes are
 * made once for all of them. A client costs one write per turn, however many events came in it (`bench/fanout`: turn, burst).
 */
export class Batch implements Piece {
  /** The last step from here: each event goes to all of its clients in a row. */
  #next: Batch | undefined;
  /** The same for connections with composite ids, so that the two kinds do not evict each other. */
  #nextOfOwn: Batch | undefined;
  #bytes: Buffer | undefined;
  #chunk: Buffer | undefined;
  #gzip: GzipPart | undefined;

  constructor(
    private readonly text = '',
    private readonly frame?: Frame,
    private readonly id?: string,
  ) {}

  /** The batch with one more frame, whose id is replaced if another one is given. */
  with(frame: Frame, id?: string): Batch {
    const next = id === undefined ? this.#next : this.#nextOfOwn;
    if (next?.frame === frame && next.id === id) return next;
    const made = new Batch(this.text + frame.text(id), frame, id);
    if (id === undefined) this.#next = made;
    else this.#nextOfOwn = made;
    return made;
  }

  get isEmpty(): boolean {
    return this.text === '';
  }

  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(this.text);
    return this.#bytes;
  }

  /** The bytes as a chunk of HTTP/1.1. */
  get chunk(): Buffer {
    this.#chunk ??= Buffer.from(`${Buffer.byteLength(this.text).toString(16)}\r\n${this.text}\r\n`);
    return this.#chunk;
  }

  /** The same for gzip connections. @param minBytes from how many bytes on it is compressed, the same in all calls */
  gzip(minBytes: number): GzipPart {
    this.#gzip ??= new GzipPart(this.bytes, minBytes);
    return this.#gzip;
  }
}

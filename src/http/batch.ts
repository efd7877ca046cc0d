import type { Frame } from './frame.js';
import { GzipPart, type Piece } from './gzip.js';

/** Up to so many frames of a connection with ids of its own are compressed one by one, to be shared. */
const MAX_SEPARATE_FRAMES = 8;

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
  #before: Batch | undefined;
  /** How many frames it has, and whether one of them has the id of a connection. */
  #frames = 0;
  #isOwn = false;
  /** The empty batch at the beginning of the turn. */
  #start: Batch = this;
  /** What the turn has compressed of single frames. */
  #compressed: Map<Frame, GzipPart> | undefined;

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
    made.#before = this;
    made.#frames = this.#frames + 1;
    made.#isOwn = this.#isOwn || id !== undefined;
    made.#start = this.#start;
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
    this.#gzip ??= this.#hasFewLong(minBytes)
      ? this.#gzipOfFrames(minBytes)
      : GzipPart.of(this.bytes, minBytes);
    return this.#gzip;
  }

  /** Many frames, such as those of a history page, or short ones shrink more together. */
  #hasFewLong(minBytes: number): boolean {
    return this.#isOwn && this.#frames <= MAX_SEPARATE_FRAMES && this.text.length >= minBytes * this.#frames;
  }

  /** What is behind the ids is compressed once for all connections, although their ids differ (`bench/compression.bench.js`). */
  #gzipOfFrames(minBytes: number): GzipPart {
    return GzipPart.join(this.#pieces(minBytes, (this.#start.#compressed ??= new Map())));
  }

  #pieces(minBytes: number, compressed: Map<Frame, GzipPart>): (string | GzipPart)[] {
    const { frame, id } = this;
    const before = this.#before;
    if (!frame || !before) return [];
    let part = compressed.get(frame);
    if (!part) compressed.set(frame, (part = GzipPart.of(Buffer.from(frame.after), minBytes)));
    return [...before.#pieces(minBytes, compressed), frame.beginning(id), part];
  }
}

import type { Frame } from './frame.js';
import { GzipPart, type Piece } from './gzip.js';

/** From this length on, waiting for further frames saves hardly anything. */
const LARGE = 65_536;
/** As a text, Node writes a chunk without a Buffer: up to this length from its stack. */
const MAX_TEXT = 16_000;
/** Up to so many frames of a connection with ids of its own are compressed one by one, to be shared. */
const MAX_SEPARATE_FRAMES = 8;

/** The frames of one client for one write, as the last step of a path of frames. Their bytes are made for it alone. */
export class Batch implements Piece {
  protected readonly text: string;
  protected readonly isAscii: boolean;
  /** How many frames it has, and whether one of them has the id of a connection. */
  readonly #frames: number;
  readonly #isOwn: boolean;
  /** The empty batch at the beginning of the path. */
  readonly #start: Batch;
  /** What is compressed of single frames, for all paths of the start. */
  #compressed: Map<Frame, GzipPart> | undefined;
  #gzip: GzipPart | undefined;

  constructor(
    private readonly before?: Batch,
    protected readonly frame?: Frame,
    protected readonly id?: string,
  ) {
    this.text = before && frame ? before.text + frame.text(id) : '';
    this.isAscii = !before || !frame || (before.isAscii && frame.isAscii);
    this.#frames = before ? before.#frames + 1 : 0;
    this.#isOwn = before !== undefined && (before.#isOwn || id !== undefined);
    this.#start = before ? before.#start : this;
  }

  /**
   * The batch with one more frame, whose id is replaced if another one is given.
   *
   * @param _isOwn whether no other client gets the frame with this id
   */
  with(frame: Frame, id?: string, _isOwn?: boolean): Batch {
    return new Batch(this, frame, id);
  }

  get isEmpty(): boolean {
    return this.text === '';
  }

  get isLarge(): boolean {
    return this.text.length >= LARGE;
  }

  get bytes(): Buffer {
    return Buffer.from(this.text);
  }

  /** A chunk of HTTP/1.1: its bytes, or text in latin1. */
  get chunk(): Buffer | string {
    const { text } = this;
    const length = this.isAscii ? text.length : Buffer.byteLength(text);
    const chunk = `${length.toString(16)}\r\n${text}\r\n`;
    return this.isAscii && length < MAX_TEXT ? chunk : Buffer.from(chunk);
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
    const { frame, id, before } = this;
    if (!frame || !before) return [];
    let part = compressed.get(frame);
    if (!part) compressed.set(frame, (part = GzipPart.of(Buffer.from(frame.after), minBytes)));
    return [...before.#pieces(minBytes, compressed), frame.beginning(id), part];
  }
}

/**
 * The frames of clients for one write.
 *
 * Clients that get the same frames are at the same step. Finding the step costs one comparison per client and event, and its bytes are
 * made once for all of them. A client costs one write per turn, however many events came in it (`bench/fanout`: turn, burst).
 */
export class SharedBatch extends Batch {
  /** The last step from here: each event goes to all of its clients in a row. */
  #next: SharedBatch | undefined;
  /** The same for connections with composite ids, so that the two kinds do not evict each other. */
  #nextOfSet: SharedBatch | undefined;
  #bytes: Buffer | undefined;
  #chunk: Buffer | undefined;

  override with(frame: Frame, id?: string, isOwn = false): Batch {
    if (isOwn) return super.with(frame, id);
    const next = id === undefined ? this.#next : this.#nextOfSet;
    if (next?.frame === frame && next.id === id) return next;
    const made = new SharedBatch(this, frame, id);
    if (id === undefined) this.#next = made;
    else this.#nextOfSet = made;
    return made;
  }

  override get bytes(): Buffer {
    this.#bytes ??= super.bytes;
    return this.#bytes;
  }

  override get chunk(): Buffer {
    this.#chunk ??= Buffer.from(`${Buffer.byteLength(this.text).toString(16)}\r\n${this.text}\r\n`);
    return this.#chunk;
  }
}

import type { Frame } from './frame.js';
import { GzipPart, type Piece } from './gzip.js';

/** From this length on, waiting for further frames saves hardly anything. */
const LARGE = 65_536;
/** As a text, Node writes a chunk without a Buffer: up to this length from its stack. */
const MAX_TEXT = 16_000;
/** Up to so many frames of a connection with ids of its own are compressed one by one, to be shared. */
const MAX_SEPARATE_FRAMES = 64;

/** The frames of one client for one write, as the last step of a path of frames. Their bytes are made for it alone. */
export class Batch implements Piece {
  protected readonly text: string;
  protected readonly isAscii: boolean;
  /** Single frames, compressed, for all paths that begin at this step. */
  #compressed: Map<Frame, GzipPart> | undefined;
  #gzip: GzipPart | undefined;

  constructor(
    private readonly before?: Batch,
    protected readonly frame?: Frame,
    protected readonly id?: string,
  ) {
    this.text = before && frame ? before.text + frame.text(id) : '';
    this.isAscii = !before || !frame || (before.isAscii && frame.isAscii);
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
    this.#gzip ??= this.compressed(minBytes);
    return this.#gzip;
  }

  /** The part of each frame behind its id is compressed once for all connections (`bench/compression.bench.js`, a channel of its own). */
  protected compressed(minBytes: number): GzipPart {
    const steps = this.#steps();
    const start = steps.shift()!;
    const rests = steps.map(({ frame }) => frame!.after);
    if (!isSeparable(rests, this.text.length, minBytes)) return GzipPart.of(this.bytes, minBytes);
    const parts = (start.#compressed ??= new Map<Frame, GzipPart>());
    const pieces = steps.flatMap(({ frame, id }) => {
      const part = parts.get(frame!) ?? GzipPart.of(Buffer.from(frame!.after), minBytes);
      parts.set(frame!, part);
      return [frame!.beginning(id), part];
    });
    return GzipPart.join(pieces);
  }

  /** From the empty batch on. */
  #steps(): Batch[] {
    const steps: Batch[] = [this];
    for (let { before } = steps[0]!; before; before = before.before) steps.push(before);
    return steps.toReversed();
  }
}

/** Whether frames may be compressed one by one, without their ids. Many frames, as in a history page, and short ones shrink more together; so do long ids. */
function isSeparable(rests: readonly string[], length: number, minBytes: number): boolean {
  const rest = rests.reduce((sum, each) => sum + each.length, 0);
  return (
    rests.length <= MAX_SEPARATE_FRAMES &&
    rests.every((each) => each.length >= minBytes) &&
    length <= rest * 1.125
  );
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

  /** As a whole: all of its clients have the same ids. */
  protected override compressed(minBytes: number): GzipPart {
    return GzipPart.of(this.bytes, minBytes);
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

import type { Frame } from './frame.js';
import { GzipPart, type Piece } from './gzip.js';

/** From this length on, waiting for further frames saves hardly anything. */
const LARGE = 65_536;
/** As a text, Node writes a chunk without a Buffer: up to this length from its stack. */
const MAX_TEXT = 16_000;

interface Step {
  readonly frame: Frame;
  readonly id: string | undefined;
}

/** The frames of one client for one write, as the last step of a path of frames. Their bytes are made for it alone. */
export class Batch implements Piece {
  protected readonly text: string;
  protected readonly isAscii: boolean;
  #gzip: GzipPart | undefined;
  /** The frames of all paths that begin at this step, compressed once a second path has them. */
  #parts: Map<Frame, GzipPart | undefined> | undefined;

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

  /**
   * The batch for gzip connections.
   *
   * @param minBytes from how many bytes on it is compressed, the same in all calls
   */
  gzip(minBytes: number): GzipPart {
    this.#gzip ??= this.compressed(minBytes);
    return this.#gzip;
  }

  /**
   * From the second connection with a frame on, the part behind the id is compressed once for all of them
   * (`bench/compression.bench.js`, a channel of its own).
   */
  protected compressed(minBytes: number): GzipPart {
    const { start, steps } = Batch.#pathTo(this);
    if (!this.#isSeparable(steps, minBytes)) return GzipPart.of(this.bytes, minBytes);
    const parts = (start.#parts ??= new Map<Frame, GzipPart | undefined>());
    // A history page usually has no second client, and takes a quarter of the time and half of the bytes as a whole.
    if (!steps.some(({ frame }) => parts.has(frame))) {
      for (const { frame } of steps) parts.set(frame, undefined);
      return GzipPart.of(this.bytes, minBytes);
    }
    const pieces = steps.flatMap(({ frame, id }) => {
      const part = parts.get(frame) ?? GzipPart.of(Buffer.from(frame.after), minBytes);
      parts.set(frame, part);
      return [frame.beginning(id), part];
    });
    return GzipPart.join(pieces);
  }

  /** The empty batch, and the steps from there on. */
  static #pathTo(batch: Batch): { start: Batch; steps: Step[] } {
    const steps: Step[] = [];
    let start = batch;
    for (; start.before && start.frame; start = start.before)
      steps.push({ frame: start.frame, id: start.id });
    return { start, steps: steps.toReversed() };
  }

  /** Whether its frames may be compressed one by one, without their ids: short frames and long ids shrink more together. */
  #isSeparable(steps: readonly Step[], minBytes: number): boolean {
    const rests = steps.map(({ frame }) => frame.after.length);
    const sum = rests.reduce((total, length) => total + length, 0);
    return rests.every((length) => length >= minBytes) && this.text.length <= sum * 1.125;
  }
}

/**
 * The frames of clients for one write.
 *
 * Clients that get the same frames are at the same step. Finding the step costs one comparison per client and event, and its bytes are
 * made once for all of them. A client costs one write per turn, or per `writeIntervalMs`, however many events came in it (`bench/fanout`: turn, burst).
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

  /** All of its clients have the same ids, so they share the whole. */
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

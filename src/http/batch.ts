import type { Frame } from './frame.js';

/** From this length on, waiting for further frames saves hardly anything. */
const LARGE = 65_536;

/** As a text, Node writes a chunk without a Buffer: up to this length from its stack. */
const MAX_TEXT = 16_000;

/** The frames of one client for one write. Their bytes are made for it alone. */
export class Batch {
  constructor(
    protected readonly text: string,
    protected readonly isAscii: boolean,
  ) {}

  /**
   * The batch with one more frame, whose id is replaced if another one is given.
   *
   * @param _isOwn whether no other client gets the frame with this id
   */
  with(frame: Frame, id?: string, _isOwn?: boolean): Batch {
    return new Batch(this.text + frame.text(id), this.isAscii && frame.isAscii);
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
}

/**
 * The frames of clients for one write, as the last step of a path of frames.
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

  constructor(
    text = '',
    isAscii = true,
    private readonly frame?: Frame,
    private readonly id?: string,
  ) {
    super(text, isAscii);
  }

  override with(frame: Frame, id?: string, isOwn = false): Batch {
    if (isOwn) return super.with(frame, id);
    const next = id === undefined ? this.#next : this.#nextOfSet;
    if (next?.frame === frame && next.id === id) return next;
    const made = new SharedBatch(this.text + frame.text(id), this.isAscii && frame.isAscii, frame, id);
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

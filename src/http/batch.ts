const CRLF = Buffer.from('\r\n');

/**
 * The frames that go to a client in one turn of the event loop, as the last step of a path.
 *
 * Clients that get the same frames are at the same step: it is found by one comparison per client and event, and its
 * bytes are joined, and made a chunk of HTTP/1.1, once for all of them. A client costs one write per turn, however
 * many events came in it (`bench/fanout`: turn, burst).
 */
export class Batch {
  /** The step that was last taken from here: events come one after another, each to all of its clients. */
  #next: Batch | undefined;
  #bytes: Buffer | undefined;
  #chunk: Buffer | undefined;
  /** Bytes of its frames. */
  readonly size: number;

  constructor(
    private readonly frame?: Buffer,
    private readonly previous?: Batch,
  ) {
    this.size = frame ? previous!.size + frame.length : 0;
  }

  /** The batch with one more frame. */
  with(frame: Buffer): Batch {
    if (this.#next?.frame !== frame) this.#next = new Batch(frame, this);
    return this.#next;
  }

  get bytes(): Buffer {
    this.#bytes ??= this.previous!.frame ? Buffer.concat(this.#frames(), this.size) : this.frame!;
    return this.#bytes;
  }

  /** The same as a chunk of HTTP/1.1. */
  get chunk(): Buffer {
    this.#chunk ??= Buffer.concat([Buffer.from(`${this.size.toString(16)}\r\n`), ...this.#frames(), CRLF]);
    return this.#chunk;
  }

  #frames(): Buffer[] {
    const frames: Buffer[] = [];
    // oxlint-disable-next-line typescript/no-this-alias -- the path is walked back
    for (let step: Batch | undefined = this; step?.frame; step = step.previous) frames.push(step.frame);
    return frames.toReversed();
  }
}

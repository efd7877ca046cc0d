import { constants, crc32, deflateRawSync } from 'node:zlib';
import { append, shiftOf } from './crc32.js';

/** Bytes of a response, and the same as a chunk of HTTP/1.1. */
export interface Piece {
  readonly bytes: Buffer;
  /** Its bytes, or text in latin1. */
  readonly chunk: Buffer | string;
}

class GzipPiece implements Piece {
  #chunk: Buffer | undefined;

  constructor(readonly bytes: Buffer) {}

  get chunk(): Buffer {
    const { bytes } = this;
    this.#chunk ??= Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, LINE_END]);
    return this.#chunk;
  }
}

const LINE_END = Buffer.from('\r\n');
/** Without name, time and system. */
const HEADER = new GzipPiece(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]));
/** An empty block with the mark of the last one. */
const LAST_BLOCK = Buffer.from([3, 0]);
/** An empty stored block. Some readers, such as Go's, hand over the text before it only when they have read it. */
const FLUSH = Buffer.from([0, 0, 0, 0xff, 0xff]);
const MAX_STORED_BLOCK = 65_535;
const MAX_OUTPUT_CHUNK = 16_384;
/** From this length on, the fastest level: it takes a third of the time, in which all connections wait, and long texts shrink well at any level. */
const FAST_FROM_BYTES = 16_384;

/** A text as blocks of deflate that refer to no earlier bytes and end at a byte, so they are valid in every gzip connection. */
export class GzipPart extends GzipPiece {
  /** The effect of its length on the checksum of the bytes before it. */
  readonly shift: number;

  private constructor(
    bytes: Buffer,
    readonly length: number,
    readonly crc: number,
  ) {
    super(bytes);
    this.shift = shiftOf(length);
  }

  /** @param minBytes from how many bytes on it is compressed */
  static of(text: Buffer, minBytes: number): GzipPart {
    return new GzipPart(blocksOf(text, minBytes), text.length, crc32(text) | 0);
  }

  /** Joins parts and texts, which are stored. The last piece is a part, so the result ends with a flush. */
  static join(pieces: readonly (string | GzipPart)[]): GzipPart {
    const blocks: Buffer[] = [];
    let [length, crc] = [0, 0];
    for (const piece of pieces) {
      if (piece instanceof GzipPart) {
        blocks.push(piece.bytes);
        crc = append(crc, piece);
        length += piece.length;
        continue;
      }
      const text = Buffer.from(piece);
      blocks.push(...storedBlocks(text));
      crc = crc32(text, crc >>> 0) | 0;
      length += text.length;
    }
    return new GzipPart(Buffer.concat(blocks), length, crc);
  }
}

function blocksOf(text: Buffer, minBytes: number): Buffer {
  const deflated = text.length < minBytes ? undefined : deflate(text);
  return deflated ?? Buffer.concat([...storedBlocks(text), FLUSH]);
}

/** @returns undefined if the result is no shorter than the text */
function deflate(text: Buffer): Buffer | undefined {
  const deflated = deflateRawSync(text, {
    // It also ends at a byte. Each call has a window of its own.
    finishFlush: constants.Z_FULL_FLUSH,
    level: text.length < FAST_FROM_BYTES ? constants.Z_DEFAULT_COMPRESSION : constants.Z_BEST_SPEED,
    chunkSize: Math.min(Math.max(text.length, constants.Z_MIN_CHUNK), MAX_OUTPUT_CHUNK),
  });
  if (deflated.length >= text.length) return undefined;
  // The result keeps its whole output buffer in memory while a client does not read it.
  return 2 * deflated.length < deflated.buffer.byteLength ? Buffer.from(deflated) : deflated;
}

function storedBlocks(text: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let start = 0; start < text.length; start += MAX_STORED_BLOCK) {
    const block = text.subarray(start, start + MAX_STORED_BLOCK);
    const head = Buffer.from([0, 0, 0, 0, 0]);
    head.writeUInt16LE(block.length, 1);
    head.writeUInt16LE(block.length ^ 0xffff, 3);
    blocks.push(head, block);
  }
  return blocks;
}

/** The gzip member of one response. Only its trailer depends on the parts before it. */
export class GzipMember {
  static readonly header: Piece = HEADER;
  // Signed numbers of 32 bits, which V8 keeps without an object on the heap.
  #crc = 0;
  #length = 0;

  /** @param minBytes from how many bytes on a batch is compressed */
  constructor(private readonly minBytes: number) {}

  /** @returns the part to send */
  add(batch: { gzip(minBytes: number): GzipPart }): GzipPart {
    const part = batch.gzip(this.minBytes);
    this.#crc = append(this.#crc, part);
    this.#length = (this.#length + part.length) | 0;
    return part;
  }

  /** The last block and the trailer. */
  end(): Piece {
    const trailer = Buffer.alloc(8);
    trailer.writeInt32LE(this.#crc, 0);
    trailer.writeInt32LE(this.#length, 4);
    return new GzipPiece(Buffer.concat([LAST_BLOCK, trailer]));
  }
}

import { randomBytes, randomInt } from 'node:crypto';
import { constants, createGunzip, gunzipSync, inflateRawSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/until.js';
import { Batch } from './batch.js';
import { Frame } from './frame.js';
import { GzipMember, GzipPart } from './gzip.js';

const LENGTHS = [0, 1, 2, 500, 65_534, 65_535, 65_536, 131_070, 131_071, 1_048_576];
/** Never compressed, and always. */
const [STORED, DEFLATED] = [Infinity, 0];
const FLUSH = '0000ffff';

const CHARACTERS = Array.from('aaaaeeee{}":,0123456789äß漢字😀');
const pick = () => CHARACTERS[randomInt(CHARACTERS.length)]!;
/** A random text with characters of one to four bytes, cut to a number of bytes. */
const textOf = (length: number) => Buffer.from(Array.from({ length }, pick).join('')).subarray(0, length);

/** A member with these parts, and its header and trailer. */
function memberOf(parts: GzipPart[], minBytes = 0): Buffer {
  const member = new GzipMember(minBytes);
  for (const part of parts) member.add(part);
  return Buffer.concat([GzipMember.header.bytes, ...parts.map(({ bytes }) => bytes), member.end().bytes]);
}
const beginningOf = (parts: GzipPart[]) =>
  gunzipSync(Buffer.concat([GzipMember.header.bytes, ...parts.map(({ bytes }) => bytes)]), {
    finishFlush: constants.Z_SYNC_FLUSH,
  });

describe.each([
  ['stored', STORED],
  ['compressed', DEFLATED],
])('A batch that is %s', (_, minBytes) => {
  it.each(LENGTHS)('is read without anything before it, and at once, with %d bytes', (length) => {
    for (const text of [textOf(length), randomBytes(length), Buffer.alloc(length, 'a')]) {
      const part = new GzipPart(text, minBytes);
      const alone = inflateRawSync(part.bytes, { finishFlush: constants.Z_SYNC_FLUSH });
      expect(alone.equals(text)).toBe(true);
      expect(part.bytes.subarray(-4).toString('hex')).toBe(FLUSH);
      expect(beginningOf([part]).equals(text)).toBe(true);
      expect(gunzipSync(memberOf([part])).equals(text)).toBe(true);
    }
  });
});

describe('Gzip parts', () => {
  it('cost 10 bytes more, and 5 for each further 65,535, where the text is short or does not shrink', () => {
    for (const length of [1, 100, 65_535]) {
      expect(new GzipPart(Buffer.alloc(length), STORED).bytes).toHaveLength(length + 10);
      expect(new GzipPart(randomBytes(length), DEFLATED).bytes).toHaveLength(length + 10);
    }
    expect(new GzipPart(randomBytes(131_071), DEFLATED).bytes).toHaveLength(131_071 + 20);
  });

  it('are compressed from `minBytes` on', () => {
    const text = Buffer.alloc(100, 'a');
    expect(new GzipPart(text, 101).bytes).toHaveLength(110);
    expect(new GzipPart(text, 100).bytes.length).toBeLessThan(20);
  });

  it('form one member in any order, whose trailer a strict reader accepts', () => {
    const shared = Array.from({ length: 40 }, (_, n) => {
      const text = n % 3 === 0 ? randomBytes(randomInt(300)) : textOf(randomInt(70_000));
      return { text, part: new GzipPart(text, n % 2 === 0 ? STORED : DEFLATED) };
    });
    for (let round = 0; round < 20; round++) {
      const chosen = Array.from({ length: randomInt(30) }, () => shared[randomInt(shared.length)]!);
      const member = memberOf(chosen.map(({ part }) => part));
      expect(gunzipSync(member).equals(Buffer.concat(chosen.map(({ text }) => text)))).toBe(true);
      const broken = Buffer.from(member);
      broken[broken.length - 5]! ^= 1;
      expect(() => gunzipSync(broken)).toThrow('incorrect data check');
      expect(() => gunzipSync(member.subarray(0, -10))).toThrow('unexpected end of file');
    }
  });

  it.each([1, 2, 7, 0])('are read from pieces of %d bytes (0: of random sizes)', async (size) => {
    const texts = Array.from({ length: 20 }, () => textOf(randomInt(3_000)));
    const member = memberOf(texts.map((text, n) => new GzipPart(text, n % 2 === 0 ? STORED : DEFLATED)));
    const gunzip = createGunzip();
    const read: Buffer[] = [];
    gunzip.on('data', (chunk: Buffer) => read.push(chunk));
    for (let start = 0; start < member.length;) {
      const end = start + (size || randomInt(1, 50));
      gunzip.write(member.subarray(start, end));
      start = end;
    }
    gunzip.end();
    await until(() => gunzip.readableEnded);
    expect(Buffer.concat(read).equals(Buffer.concat(texts))).toBe(true);
  });

  it('are made once for a batch, also as a chunk', () => {
    const batch = new Batch().with(new Frame('data: ü', '', '\n\n'));
    const part = batch.gzip(STORED);
    expect(batch.gzip(STORED)).toBe(part);
    expect(part.chunk).toBe(part.chunk);
    const expected = Buffer.concat([Buffer.from('14\r\n'), part.bytes, Buffer.from('\r\n')]);
    expect(part.chunk.equals(expected)).toBe(true);
  });
});

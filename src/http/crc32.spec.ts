import { randomBytes, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { append, shiftOf } from './crc32.js';

const LENGTHS = [0, 1, 2, 3, 255, 256, 65_535, 65_536, 1_048_576];
const partOf = (text: Buffer) => ({ crc: crc32(text) | 0, shift: shiftOf(text.length) });

describe('The checksum of texts that follow each other', () => {
  it.each(LENGTHS)('equals that of the whole, with %d bytes in the middle', (length) => {
    for (const before of [0, 1, 300]) {
      const texts = [before, length, randomInt(100)].map((size) => randomBytes(size));
      const whole = texts.map(partOf).reduce(append, 0);
      expect(whole >>> 0).toBe(crc32(Buffer.concat(texts)));
    }
  });

  it('equals that of the whole after thousands of texts', () => {
    const texts = Array.from({ length: 5_000 }, () => randomBytes(randomInt(200)));
    const whole = texts.map(partOf).reduce(append, 0);
    expect(whole >>> 0).toBe(crc32(Buffer.concat(texts)));
  });

  it('knows the effect of more bytes than fit into 32 bits', () => {
    // x^(2^32) is x: so many bits more have the effect of one.
    const bytes = 2 ** 29;
    const [once, twice] = [shiftOf(bytes), shiftOf(2 * bytes)];
    const one = { crc: 0, shift: once };
    expect(append(append(1 << 31, one), one)).toBe(append(1 << 31, { crc: 0, shift: twice }));
    expect(append(1 << 31, one)).toBe(1 << 30);
  });
});

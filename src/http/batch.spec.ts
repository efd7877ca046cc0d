import { describe, expect, it } from '@jest/globals';
import { Batch } from './batch.js';

describe('A batch', () => {
  const [a, b, c] = ['a\n\n', 'bb\n\n', 'ccc\n\n'].map((text) => Buffer.from(text)) as [
    Buffer,
    Buffer,
    Buffer,
  ];

  it('is its frames in order, and as a chunk has their length in front', () => {
    const batch = new Batch().with(a).with(b).with(c);
    expect(batch.bytes.toString()).toBe('a\n\nbb\n\nccc\n\n');
    expect(batch.chunk.toString()).toBe('c\r\na\n\nbb\n\nccc\n\n\r\n');
    expect(batch.size).toBe(12);
  });

  it('is one for all clients that get the same frames, and so are its bytes', () => {
    const start = new Batch();
    const steps = [start.with(a), start.with(a)];
    const [first, second] = steps.map((step) => step.with(b));
    expect(second).toBe(first);
    expect(second!.bytes).toBe(first!.bytes);
    expect(second!.chunk).toBe(first!.chunk);
  });

  it('of one frame is that frame', () => {
    expect(new Batch().with(a).bytes).toBe(a);
  });

  it('of clients that get other frames is another one', () => {
    const start = new Batch();
    const batches = [start.with(a).with(c), start.with(b).with(c), start.with(c), start.with(a).with(c)];
    expect(batches.map(({ bytes }) => bytes.toString())).toEqual([
      'a\n\nccc\n\n',
      'bb\n\nccc\n\n',
      'ccc\n\n',
      'a\n\nccc\n\n',
    ]);
  });
});

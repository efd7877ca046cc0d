import { describe, expect, it } from '@jest/globals';
import { Batch } from './batch.js';
import { Frame } from './frame.js';

describe('A batch', () => {
  const frame = (text: string) => new Frame('id: ', text, '\n\n');
  const [a, b, c] = [frame('a'), frame('ü'), frame('ccc')];
  const texts = (batches: Batch[]) => batches.map(({ bytes }) => bytes.toString());

  it('contains its frames in order, and as a chunk their length first', () => {
    const batch = new Batch().with(a).with(b).with(c);
    expect(batch.bytes.toString()).toBe('id: a\n\nid: ü\n\nid: ccc\n\n');
    expect(batch.chunk.toString()).toBe('18\r\nid: a\n\nid: ü\n\nid: ccc\n\n\r\n');
  });

  it('is shared by all clients with the same frames, as are its bytes', () => {
    const start = new Batch();
    const steps = [start.with(a), start.with(a)];
    const [first, second] = steps.map((step) => step.with(b));
    expect(second).toBe(first);
    expect(second!.bytes).toBe(first!.bytes);
    expect(second!.chunk).toBe(first!.chunk);
  });

  it('is not shared by clients with different frames', () => {
    const start = new Batch();
    const batches = [start.with(a).with(c), start.with(b).with(c), start.with(c), start.with(a).with(c)];
    expect(texts(batches)).toEqual([
      'id: a\n\nid: ccc\n\n',
      'id: ü\n\nid: ccc\n\n',
      'id: ccc\n\n',
      'id: a\n\nid: ccc\n\n',
    ]);
  });

  it('is shared only by connections that give an event the same id', () => {
    const start = new Batch();
    const batches = [
      start.with(a, '1~1'),
      start.with(a),
      start.with(a, '1~1'),
      start.with(a),
      start.with(a, '1~2'),
    ];
    expect(texts(batches)).toEqual(['id: 1~1\n\n', 'id: a\n\n', 'id: 1~1\n\n', 'id: a\n\n', 'id: 1~2\n\n']);
    expect(batches[2]).toBe(batches[0]);
    expect(batches[3]).toBe(batches[1]);
  });
});

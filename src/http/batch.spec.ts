import { describe, expect, it } from '@jest/globals';
import { type Batch, SharedBatch } from './batch.js';
import { Frame } from './frame.js';

describe('A batch', () => {
  const frame = (text: string) => new Frame('id: ', text, '\n\n');
  const [a, b, c] = [frame('a'), frame('ü'), frame('ccc')];
  const texts = (batches: Batch[]) => batches.map(({ bytes }) => bytes.toString());

  it('contains its frames in order, and as a chunk their length first', () => {
    const batch = new SharedBatch().with(a).with(b).with(c);
    expect(batch.bytes.toString()).toBe('id: a\n\nid: ü\n\nid: ccc\n\n');
    expect(batch.chunk.toString()).toBe('18\r\nid: a\n\nid: ü\n\nid: ccc\n\n\r\n');
  });

  it('is shared by all clients with the same frames, as are its bytes', () => {
    const start = new SharedBatch();
    const steps = [start.with(a), start.with(a)];
    const [first, second] = steps.map((step) => step.with(b));
    expect(second).toBe(first);
    expect(second!.bytes).toBe(first!.bytes);
    expect(second!.chunk).toBe(first!.chunk);
  });

  it('is not shared by clients with different frames', () => {
    const start = new SharedBatch();
    const batches = [start.with(a).with(c), start.with(b).with(c), start.with(c), start.with(a).with(c)];
    expect(texts(batches)).toEqual([
      'id: a\n\nid: ccc\n\n',
      'id: ü\n\nid: ccc\n\n',
      'id: ccc\n\n',
      'id: a\n\nid: ccc\n\n',
    ]);
  });

  it('is shared only by connections that give an event the same id', () => {
    const start = new SharedBatch();
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

  it('of one client evicts no shared one, and has the same bytes', () => {
    const start = new SharedBatch();
    const shared = [start.with(a), start.with(c, '1~1')];
    const own = start.with(c, '1~2', true).with(a).with(c, '1~3', true);
    expect([start.with(a), start.with(c, '1~1')]).toEqual(shared);
    expect(start.with(c, '1~1')).toBe(shared[1]);
    expect(own.bytes.toString()).toBe('id: 1~2\n\nid: a\n\nid: 1~3\n\n');
    expect(own.chunk).toBe('19\r\nid: 1~2\n\nid: a\n\nid: 1~3\n\n\r\n');
  });

  it.each([
    ['with other characters than those of ASCII', 'x-ü-😀'],
    ['that is long', 'x'.repeat(100_000)],
  ])('of one client is a Buffer as a chunk, %s', (_what, data) => {
    const { bytes, chunk } = new SharedBatch().with(
      new Frame('id: ', '', `\ndata: ${data}\n\n`),
      '1~1',
      true,
    );
    expect(bytes.toString()).toBe(`id: 1~1\ndata: ${data}\n\n`);
    expect(chunk).toEqual(Buffer.from(`${bytes.length.toString(16)}\r\n${bytes.toString()}\r\n`));
  });
});

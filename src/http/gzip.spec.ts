import { randomBytes, randomInt } from 'node:crypto';
import { constants, createGunzip, gunzipSync, inflateRawSync } from 'node:zlib';
import { describe, expect, it, jest } from '@jest/globals';
import { until } from '../../test/support/until.js';
import { type Batch, SharedBatch } from './batch.js';
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

/** JSON like that of an application, of about so many characters. */
const jsonOf = (length: number, n: number) =>
  JSON.stringify(
    Array.from({ length: Math.ceil(length / 50) }, (_, item) => ({
      product: 7_919 * (n + item),
      title: 'red cotton',
      price: n + item / 8,
    })),
  );

/** A member with these parts, and its header and trailer. */
function memberOf(parts: GzipPart[], minBytes = 0): Buffer {
  const member = new GzipMember(minBytes);
  for (const part of parts) member.add({ gzip: () => part });
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
      const part = GzipPart.of(text, minBytes);
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
      expect(GzipPart.of(Buffer.alloc(length), STORED).bytes).toHaveLength(length + 10);
      expect(GzipPart.of(randomBytes(length), DEFLATED).bytes).toHaveLength(length + 10);
    }
    expect(GzipPart.of(randomBytes(131_071), DEFLATED).bytes).toHaveLength(131_071 + 20);
  });

  it('are compressed from `minBytes` on', () => {
    const text = Buffer.alloc(100, 'a');
    expect(GzipPart.of(text, 101).bytes).toHaveLength(110);
    expect(GzipPart.of(text, 100).bytes.length).toBeLessThan(20);
  });

  it('form one member in any order, whose trailer a strict reader accepts', () => {
    const shared = Array.from({ length: 40 }, (_, n) => {
      const text = n % 3 === 0 ? randomBytes(randomInt(300)) : textOf(randomInt(70_000));
      return { text, part: GzipPart.of(text, n % 2 === 0 ? STORED : DEFLATED) };
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
    const member = memberOf(texts.map((text, n) => GzipPart.of(text, n % 2 === 0 ? STORED : DEFLATED)));
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

  it('that are short keep no long buffer', () => {
    const { bytes } = GzipPart.of(Buffer.alloc(50_000, 'a'), DEFLATED);
    expect(bytes.buffer.byteLength).toBeLessThanOrEqual(Math.max(Buffer.poolSize, 2 * bytes.length));
  });

  it('are made once for a batch, also as a chunk', () => {
    const batch = new SharedBatch().with(new Frame('data: ü', '', '\n\n'));
    const part = batch.gzip(STORED);
    expect(batch.gzip(STORED)).toBe(part);
    expect(part.chunk).toBe(part.chunk);
    const expected = Buffer.concat([Buffer.from('14\r\n'), part.bytes, Buffer.from('\r\n')]);
    expect(part.chunk.equals(expected)).toBe(true);
  });

  describe('of connections with ids of their own', () => {
    const long = new Frame('event: order\nid: ', '1-1', `\ndata: ${'ü'.repeat(300)}\n\n`);
    const [small, heartbeat] = [new Frame('id: ', '1-2', '\ndata: 1\n\n'), new Frame(':\n')];
    type Step = [frame: Frame, id?: string];
    const batchOf = (steps: Step[], start: Batch = new SharedBatch()) =>
      steps.reduce((batch: Batch, [frame, id]) => batch.with(frame, id, id !== undefined), start);

    /** The batch of a connection after another one with the same frames. */
    const secondOf = (steps: Step[], minBytes: number) => {
      const start = new SharedBatch();
      batchOf(steps, start).gzip(minBytes);
      return batchOf(steps, start).gzip(minBytes).bytes;
    };

    it('share the part behind the id from the second connection on', () => {
      const made = jest.spyOn(GzipPart, 'of');
      const start = new SharedBatch();
      const ids = ['1-1~1-1', '1-1~2-2', '1-1~3-3'];
      const [first, own, other] = ids.map((id) => batchOf([[long, id]], start).gzip(100).bytes);
      expect(made).toHaveBeenCalledTimes(2);
      made.mockRestore();
      expect(first!.toString('latin1')).not.toContain('id: 1-1~1-1');
      const shared = own!.subarray('12345event: order\nid: 1-1~2-2'.length);
      expect(own!.toString('latin1', 5)).toMatch(/^event: order\nid: 1-1~2-2/);
      expect(other!.toString('latin1', 5)).toMatch(/^event: order\nid: 1-1~3-3/);
      expect(other!.subarray(-shared.length).equals(shared)).toBe(true);
      expect(own!.length).toBeLessThan(100);
    });

    it('are compressed as a whole if several connections have the same ids', () => {
      const start = new SharedBatch();
      for (const id of ['1-1~2-2', '1-1~3-3']) {
        expect(start.with(long, id).gzip(100).bytes.toString('latin1')).not.toContain(`id: ${id}`);
      }
    });

    it('are compressed as a whole if no other connection gets one of the frames, as in a history page', () => {
      const page = () =>
        Array.from({ length: 20 }, (_, n): Step => {
          return [new Frame('id: ', '', `\ndata: ${jsonOf(500, n)}\n\n`), `1-1~${n}`];
        });
      const [one, another] = [page(), page()];
      const start = new SharedBatch();
      const [first, second, third] = [one, another, [another[0]!, ...page()]].map(
        (steps) => batchOf(steps, start).gzip(100).bytes.length,
      );
      expect(second).toBe(first);
      expect(third).toBeGreaterThan(1.5 * first!);
    });

    it('are compressed as a whole if the ids are long', () => {
      const isIdStored = (id: string) => secondOf([[long, id]], 100).includes(id);
      expect(['1-1~2-2', '1-1~2-2~'.repeat(20)].map(isIdStored)).toEqual([true, false]);
    });

    it('may be a burst', () => {
      const burst = Array.from({ length: 50_000 }, (): Step => [new Frame('', '', '\ndata: 1\n\n'), '1']);
      const bytes = secondOf(burst, 10);
      expect(inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })).toEqual(batchOf(burst).bytes);
    });

    it('are compressed as a whole if only together they are long enough', () => {
      const steps = [1, 2, 3, 4].map((n): Step => [small, `1-2~${n}`]);
      const bytes = secondOf(steps, 40);
      expect(bytes.toString('latin1')).not.toContain('data: 1\n');
      expect(bytes.length).toBeLessThan(batchOf(steps).bytes.length);
    });

    it.each([2, 20, 100])('are smaller than the text, if that is long enough: %i channels', (channels) => {
      const idOf = (n: number) =>
        Array.from({ length: channels }, (_, m) => `${1_763_884_800_000 + n}-${m * 7_919}`).join('~');
      for (const size of [20, 150, 350, 1_000]) {
        for (const count of [1, 8, 64]) {
          const frames = Array.from(
            { length: count },
            (_, n) => new Frame('id: ', '', `\ndata: ${jsonOf(size, n)}\n\n`),
          );
          const steps = frames.map((frame, n): Step => [frame, idOf(n)]);
          const { length } = batchOf(steps).bytes;
          if (length < 400) continue;
          expect(secondOf(steps, 400).length).toBeLessThan(length);
        }
      }
    });

    it.each<[string, Step[]]>([
      ['one event', [[long, '~']]],
      [
        'several',
        [
          [long, '1~1'],
          [long, '1~2'],
          [small, '2~2'],
        ],
      ],
      [
        'small ones',
        [
          [small, '1~1'],
          [small, '1~2'],
          [small, '1~3'],
        ],
      ],
      ['frames without an id', [[heartbeat], [long, '~1'], [heartbeat], [small]]],
    ])('are read whole: %s', (_, steps) => {
      for (const minBytes of [0, 10, 40, 100, 1_000, STORED]) {
        const start = new SharedBatch();
        const batches = [batchOf([[heartbeat]]), batchOf(steps, start), batchOf(steps, start)];
        const parts = batches.map((batch) => batch.gzip(minBytes));
        const text = Buffer.concat(batches.map(({ bytes }) => bytes));
        expect(gunzipSync(memberOf(parts)).equals(text)).toBe(true);
        for (const { bytes } of parts) expect(bytes.subarray(-4).toString('hex')).toBe(FLUSH);
      }
    });
  });
});

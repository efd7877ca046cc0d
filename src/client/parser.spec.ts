import { describe, expect, it } from '@jest/globals';
import { createParser as createReference } from 'eventsource-parser';
import * as fc from 'fast-check';
import { createParser, type ParsedEvent } from './parser.js';

const encode = (text: string) => new TextEncoder().encode(text);

function parse(...chunks: (string | Uint8Array)[]): ParsedEvent[] {
  const parser = createParser();
  return chunks.flatMap((chunk) => parser.feed(typeof chunk === 'string' ? encode(chunk) : chunk));
}

const message = (data: string, id = '', type = 'message') => ({ id, type, data });

/** Splits the bytes. Each number is the end of a piece, as a fraction of the whole. */
function cut(bytes: Uint8Array, fractions: readonly number[]): Uint8Array[] {
  const ends = [...fractions.map((fraction) => Math.floor(fraction * bytes.length)), bytes.length];
  ends.sort((a, b) => a - b);
  return ends.map((end, n) => bytes.subarray(ends[n - 1] ?? 0, end));
}

/** The events that another parser finds in the text. It sets an id only if the block of the event has one. */
function reference(text: string) {
  const events: { id?: string; type: string; data: string }[] = [];
  let retryMs: number | undefined;
  const parser = createReference({
    onEvent: ({ id, event = 'message', data }) => events.push({ id, type: event, data }),
    onRetry: (ms) => (retryMs = ms),
  });
  parser.feed(text);
  return { events, retryMs };
}

const MARK = '§';

/** The ids as they persist, also from blocks without data: each block gets a data line that marks its end. */
function referenceIds(text: string): { ids: string[]; lastEventId: string } {
  const lines = text.split(/\r\n|\r|\n/).flatMap((line) => (line === '' ? [`data: ${MARK}`, ''] : [line]));
  const ids: string[] = [];
  let lastEventId = '';
  for (const { id = lastEventId, data } of reference(`${lines.join('\n')}\n`).events) {
    lastEventId = id;
    if (data !== MARK) ids.push(id);
  }
  return { ids, lastEventId };
}

describe('The parser', () => {
  it('continues with the last event id of the previous response', () => {
    const parser = createParser('7');
    expect(parser.feed(encode('data: a\n\nid\n\n'))).toEqual([message('a', '7')]);
    expect(parser.lastEventId).toBe('');
  });

  it.each<[comments: string, ms: number | undefined]>([
    [':heartbeat 15000', 15_000],
    [': heartbeat 20', 20],
    [':heartbeat 1\n:\n:heartbeat 30\n: other', 30],
    [':', undefined],
    [':heartbeat', undefined],
    [':heartbeat -1', undefined],
    [':heartbeat 1e3', undefined],
    [':the heartbeat 10', undefined],
    ['heartbeat 10', undefined],
  ])('reads from %j the interval of the heartbeats: %j', (comments, ms) => {
    const parser = createParser();
    expect(parser.feed(encode(`${comments}\n`))).toEqual([]);
    expect(parser.heartbeatMs).toBe(ms);
  });

  it.each<[rule: string, stream: string, events: object[]]>([
    ['names an event without a type `message`', 'data: a\n\n', [message('a')]],
    ['names an event with an empty type `message`', 'event:\ndata: a\n\n', [message('a')]],
    [
      'takes the type of a block for that block only',
      'event: x\ndata: 1\n\ndata: 2\n\n',
      [message('1', '', 'x'), message('2')],
    ],
    ['takes the last type of a block', 'event: x\nevent: y\ndata: 1\n\n', [message('1', '', 'y')]],
    ['joins data lines by line feeds', 'data: a\ndata\ndata:b\n\n', [message('a\n\nb')]],
    ['dispatches an empty data line', 'data\n\n', [message('')]],
    ['dispatches nothing without a data line', 'event: x\n\nid: 1\n\ndata: a\n\n', [message('a', '1')]],
    ['removes one space behind the colon, and no other', 'data:  a \n\n', [message(' a ')]],
    ['ends lines with a carriage return', 'data: a\rdata: b\r\r', [message('a\nb')]],
    ['ends lines with both', 'data: a\r\ndata: b\r\n\r\n', [message('a\nb')]],
    ['ends lines with any mixture', 'data: a\r\ndata: b\n\rdata: c\r\n\n', [message('a\nb'), message('c')]],
    ['ignores comments', ': x\n:\ndata: a\n:data: b\n\n', [message('a')]],
    [
      'ignores unknown fields, and fields in another case',
      'Data: x\ndatas: x\n data: x\ndata: a\n\n',
      [message('a')],
    ],
    [
      'keeps the id until another one comes',
      'id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n',
      [message('a', '1'), message('b', '1'), message('c', '2')],
    ],
    ['resets the id by an empty one', 'id: 1\ndata: a\n\nid\ndata: b\n\n', [message('a', '1'), message('b')]],
    [
      'ignores an id with a NUL',
      'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n',
      [message('a', '1'), message('b', '1')],
    ],
    ['removes one byte order mark at the beginning', '\uFEFFdata: a\n\n', [message('a')]],
    ['removes no second one', '\uFEFF\uFEFFdata: a\n\ndata: b\n\n', [message('b')]],
    ['discards an incomplete block', 'data: a\n\ndata: b\n', [message('a')]],
    ['discards an incomplete line', 'data: a\n\ndata: b', [message('a')]],
  ])('%s', (_, stream, events) => {
    expect(parse(stream)).toEqual(events);
    expect(parse(...Array.from(encode(stream), (byte) => Uint8Array.of(byte)))).toEqual(events);
  });

  it('returns an event as soon as its last line end begins', () => {
    const parser = createParser();
    expect(parser.feed(encode('data: a\r\n\r'))).toEqual([message('a')]);
    expect(parser.feed(encode('\ndata: b\r\r'))).toEqual([message('b')]);
  });

  it('treats a line feed in a later chunk as its own line end if text came before it', () => {
    expect(parse('data: a\r', 'data: b', '\n', '\n')).toEqual([message('a\nb')]);
  });

  it('replaces bytes that are not UTF-8', () => {
    expect(parse(Uint8Array.of(...encode('data: '), 0xff, 0x0a, 0x0a))).toEqual([message('\uFFFD')]);
  });

  it('has the id of the last complete block', () => {
    const parser = createParser();
    parser.feed(encode('id: 1\n\nid: 2\ndata: a\n'));
    expect(parser.lastEventId).toBe('1');
    parser.feed(encode('\n'));
    expect(parser.lastEventId).toBe('2');
  });

  it.each<[line: string, ms: number | undefined]>([
    ['retry: 1500', 1_500],
    ['retry: 1500\nretry: 2000', 2_000],
    ['retry: 1.5', undefined],
    ['retry: -1', undefined],
    ['retry: ١', undefined],
    ['retry', undefined],
  ])('accepts a reconnection time of digits only: %j', (line, ms) => {
    const parser = createParser();
    parser.feed(encode(`${line}\n`));
    expect(parser.retryMs).toBe(ms);
  });

  it('gives the same result as another parser, however the bytes are split', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '🎈', ' ', ':', '{}', '\u2028'), maxLength: 6 });
    const field = fc.constantFrom('data', 'event', 'id', 'retry', '', 'other');
    const line = fc.oneof(
      fc.tuple(field, fc.constantFrom(':', ': '), text).map((parts) => parts.join('')),
      fc.constantFrom('', 'data', 'id', 'event', 'retry: 250', 'id: 7'),
    );
    const lines = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 20 });
    const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    fc.assert(
      fc.property(lines, fractions, (parts, ends) => {
        // The other parser waits for the character after a carriage return.
        const stream = `${parts.flat().join('')}\ndata: end\n\n`;
        const expected = reference(stream);
        const parser = createParser();
        const events = cut(encode(stream), ends).flatMap((chunk) => parser.feed(chunk));
        expect(events.map(({ type, data }) => ({ type, data }))).toEqual(
          expected.events.map(({ type, data }) => ({ type, data })),
        );
        expect(parser.retryMs).toBe(expected.retryMs);
        const ids = { ids: events.map(({ id }) => id), lastEventId: parser.lastEventId };
        expect(ids).toEqual(referenceIds(stream));
      }),
      { numRuns: 500 },
    );
  });
});

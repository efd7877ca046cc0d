import { describe, expect, it } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';

interface ParsedEvent {
  type: string;
  data: string;
  id: string;
}

interface Parser {
  push(text: string): ParsedEvent[];
}

/** The page has no types. */
const MODULE = '../sample/public/js/event-parser.js';

describe('The parser of the sample’s page', () => {
  const parse = async (pieces: string[]) => {
    const { EventParser } = (await import(MODULE)) as { EventParser: new () => Parser };
    const parser = new EventParser();
    return pieces.flatMap((piece) => parser.push(piece));
  };
  const LINE = fc.constantFrom(
    'data: a',
    'data:b',
    'data',
    'data:  c',
    'event: e',
    'event',
    'id: 1',
    'id',
    ': x',
    'retry: 5',
    'other: 1',
    '',
    '',
  );

  it('finds the events that eventsource-parser finds, in pieces of any size and with any line ends', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.tuple(LINE, fc.constantFrom('\n', '\r\n', '\r'))),
      fc.array(fc.nat({ max: 200 })),
      async (lines, cuts) => {
        const text = lines.map((line) => line.join('')).join('') + '\n\n';
        const ends = [...cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b), text.length];
        const pieces = ends.map((end, n) => text.slice(ends[n - 1] ?? 0, end));
        const expected: Omit<ParsedEvent, 'id'>[] = [];
        const reference = createParser({
          onEvent: ({ event = 'message', data }) => expected.push({ type: event, data }),
        });
        reference.feed(text);
        const events = await parse(pieces);
        expect(events.map(({ type, data }) => ({ type, data }))).toEqual(expected);
      },
    );
    await fc.assert(property);
  });

  it('keeps the last id, and takes none with NUL', async () => {
    const events = await parse(['id: 7\ndata: a\n\ndata: b\n\nid: 8\0\ndata: c\n\nid\ndata: d\n\n']);
    expect(events.map(({ id }) => id)).toEqual(['7', '7', '7', '']);
  });
});

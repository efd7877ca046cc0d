import { describe, expect, it } from '@jest/globals';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { encodeEvent, frameOf } from './frame.js';

const parse = (text: string) => {
  const events: EventSourceMessage[] = [];
  let retry: number | undefined;
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onRetry: (value) => (retry = value),
  });
  parser.feed(text);
  return { events, retry };
};

describe('A frame', () => {
  it('has the fields in the order Nest writes them', () => {
    expect(encodeEvent({ type: 't', id: 'i', retry: 5, data: { a: 1 } })).toBe(
      'event: t\nid: i\nretry: 5\ndata: {"a":1}\n\n',
    );
    expect(encodeEvent({ id: 'i', data: '' })).toBe('id: i\ndata: \n\n');
  });

  it.each([
    '',
    'x',
    ' x',
    'a\nb',
    'a\r\nb\rc',
    '\n',
    'a\n\n',
    'data: x',
    ':',
    '\u2028',
    '😀',
    'id: 1\n\nevent: y',
  ])('is one event with the data that was given, line breaks unified: %j', (data) => {
    const { events, retry } = parse(encodeEvent({ type: 't', id: 'i', retry: 0, data }));
    expect(events).toEqual([{ event: 't', id: 'i', data: data.replaceAll(/\r\n?/g, '\n') }]);
    expect(retry).toBe(0);
  });

  it('is made once for all subscribers of an event', () => {
    const event = { id: 'i', channel: 'c', data: 'x' };
    expect(frameOf(event)).toBe(frameOf(event));
  });
});

import { describe, expect, it } from '@jest/globals';
import { checkPublication, type PublishOptions } from './event.js';
import {
  completeBody,
  decodeEntry,
  decodeMessage,
  decodeMessages,
  encodeBody,
  encodePack,
  encodeStreamEnd,
  encodeStreamEvent,
} from './message.js';

const body = (data: unknown, options: PublishOptions = {}) =>
  encodeBody(checkPublication(data, options, 1_000), !options.transient);
const CURSOR = '1763884800000-7';
const PREV = '1763884800000-6';

describe('A live message', () => {
  it.each([
    ['{"data":{"a":[1.50,"}"]},"event":"x"}', '{"a":[1.50,"}"]}'],
    ['{"data": "text" }', '"text"'],
    ['{"data":1,"data":2}', '2'],
    ['{"data":1,"d\\u0061ta":2}', '2'],
    ['{"data":1,"data" : 2,"id":7}', '2'],
    ['{"event":"x","data":1}', '1'],
    ['{"data":"\\"data\\":5","id":null}', '"\\"data\\":5"'],
  ])('contains the last data of %s, as it is written', (text, json) => {
    expect(decodeMessage(text)!.json).toBe(json);
  });

  it('has Invenio-SSE’s keys, then its cursor and the previous cursor', () => {
    const text = completeBody(body({ a: 1 }, { type: 't', retry: 5 }), { cursor: CURSOR, prev: PREV });
    expect(text).toBe(
      `{"data":{"a":1},"event":"t","retry":5,"id":"${CURSOR}","cursor":"${CURSOR}","prev":"${PREV}"}`,
    );
  });

  it('has the publisher’s id if there is one', () => {
    const id = '"\\{}';
    const text = completeBody(body(1, { id }), { cursor: CURSOR, prev: PREV, id });
    expect(JSON.parse(text)).toEqual({ data: 1, event: null, id, retry: null, cursor: CURSOR, prev: PREV });
  });

  it.each([
    ['a string', 'x'],
    ['an object', { a: [1] }],
    ['null', null],
    ['a number', 1.5],
    ['the text of a number', '1.5'],
    ['false', false],
  ])('is parsed as it was serialised: %s', (_, data) => {
    const place = { cursor: CURSOR, prev: PREV };
    const text = completeBody(body(data, { type: 't', id: 'i', retry: 0 }), { ...place, id: 'i' });
    const event = { json: JSON.stringify(data), type: 't', id: 'i', retry: 0, ...place };
    expect(decodeMessage(text)).toEqual({ ...event, size: text.length });
    const stored = body(data, { type: 't', id: 'i', retry: 0 });
    const entry = decodeEntry(CURSOR, ['1', `${PREV} nonce ${stored}`]);
    expect(entry).toEqual([{ ...event, size: stored.length }]);
  });

  it('is transient without a cursor and an id', () => {
    const text = body('x', { transient: true });
    expect(decodeMessage(text)).toEqual({ json: '"x"', size: text.length });
  });

  it('accepts a retry in digits, and ignores unknown keys', () => {
    const text = '{"data":1,"retry":"6000","later":{}}';
    expect(decodeMessage(text)).toEqual({ json: '1', retry: 6000, size: text.length });
  });

  it('shows whether its id was used before', () => {
    const text = completeBody(body(1, { id: 'i' }), { cursor: CURSOR, prev: PREV, id: 'i', reused: true });
    expect(decodeMessage(text)).toMatchObject({ id: 'i', reused: true });
  });

  it.each([
    ['another version', ['3', `${PREV} nonce {"data":1}`]],
    ['no version', ['1']],
    ['somebody else’s', ['1', 'hello']],
    ['broken', ['1', `${PREV} nonce {"data":`]],
  ])('is ignored if it was stored by %s', (_, fields) => {
    expect(decodeEntry(CURSOR, fields)).toEqual([]);
  });
});

describe('A pack of a stream', () => {
  const at = (n: number) => `1763884800000-${n}`;
  const events = [
    encodeStreamEvent('12.50', 'a,"]}'),
    encodeStreamEvent('"},{"'),
    encodeStreamEnd('{"status":"done"}'),
  ];
  const expected = [
    { json: '12.50', type: 'a,"]}' },
    { json: '"},{"', type: undefined },
    { json: '{"status":"done"}', type: 'sse.end' },
  ].map((event, n) => ({ ...event, id: at(n + 7), cursor: at(n + 7), prev: at(n + 6) }));

  it('contains events with consecutive cursors, as they were written', () => {
    const text = encodePack(`[${events.join(', ')}]`, { first: at(7), cursor: at(9), prev: at(6) });
    expect(decodeMessages(text)).toMatchObject(expected);
    expect(decodeEntry(at(9), ['2', `${at(6)} ${at(7)} [${events.join(' ,\n')}]`])).toMatchObject(expected);
  });

  it('without events is the beginning of a stream', () => {
    const text = encodePack('[]', { cursor: at(7), prev: at(6) });
    expect(decodeMessages(text)).toMatchObject([{ isStart: true, cursor: at(7), prev: at(6) }]);
  });

  it('is one message with data if another program publishes it as such', () => {
    expect(decodeMessages('{"events":[1],"data":5}')).toMatchObject([{ json: '5' }]);
    expect(decodeMessages('{"data":5}')).toMatchObject([{ json: '5' }]);
  });

  it.each([
    ['has fewer events than cursors', events.slice(1), {}],
    ['has no event', ['1'], { cursor: at(7) }],
    ['has a control event that is no end', ['{"data":1,"event":"sse.reset"}'], { cursor: at(7) }],
    ['has no first cursor', events, { first: undefined }],
    ['has no cursors', events, { cursor: 'x' }],
    ['has no predecessor', events, { prev: 'x' }],
    ['is broken', ['{"data":'], { cursor: at(7) }],
  ])('is ignored as a whole if it %s', (_, given, place) => {
    const text = encodePack(`[${given.join(',')}]`, { first: at(7), cursor: at(9), prev: at(6), ...place });
    expect(decodeMessages(text)).toBeUndefined();
  });
});

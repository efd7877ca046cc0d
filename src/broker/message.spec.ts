import { describe, expect, it } from '@jest/globals';
import { checkPublication, type PublishOptions } from '../event.js';
import { completeBody, decodeMessage, encodeBody } from './message.js';

const body = (data: unknown, options: PublishOptions = {}) =>
  encodeBody(checkPublication(data, options, 1_000));
const CURSOR = '1763884800000-7';

describe('A live message', () => {
  it('has Invenio-SSE’s keys, then the cursor and the one before', () => {
    const text = completeBody(body({ a: 1 }, { type: 't', retry: 5 }), {
      cursor: CURSOR,
      prev: '1763884800000-6',
    });
    expect(text).toBe(
      `{"data":{"a":1},"event":"t","retry":5,"id":"${CURSOR}","cursor":"${CURSOR}","prev":"1763884800000-6"}`,
    );
  });

  it('has the publisher’s id where there is one', () => {
    const id = '"\\{}';
    const text = completeBody(body(1, { id }), { cursor: CURSOR, id });
    expect(JSON.parse(text)).toEqual({ data: 1, event: null, id, retry: null, cursor: CURSOR, prev: null });
  });

  it.each([
    ['a string', 'x', 'x'],
    ['an object', { a: [1] }, { a: [1] }],
    ['null', null, 'null'],
    ['a number', 1.5, '1.5'],
    ['false', false, 'false'],
  ])('comes out as it went in: %s', (_, data, expected) => {
    const text = completeBody(body(data, { type: 't', id: 'i', retry: 0 }), { cursor: CURSOR, id: 'i' });
    expect(decodeMessage(text)).toEqual({ data: expected, type: 't', id: 'i', retry: 0, cursor: CURSOR });
  });

  it('is transient without a cursor and an id', () => {
    expect(decodeMessage(body('x', { transient: true }))).toEqual({ data: 'x' });
  });

  it('takes a retry in digits, and ignores keys it does not know', () => {
    expect(decodeMessage('{"data":1,"retry":"6000","later":{}}')).toEqual({ data: '1', retry: 6000 });
  });
});

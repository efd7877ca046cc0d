import { describe, expect, it } from '@jest/globals';
import { checkPublication, type PublishOptions } from './event.js';
import { completeBody, decodeEntry, decodeMessage, encodeBody } from './message.js';

const body = (data: unknown, options: PublishOptions = {}) =>
  encodeBody(checkPublication(data, options, 1_000), !options.transient);
const CURSOR = '1763884800000-7';
const PREV = '1763884800000-6';

describe('A live message', () => {
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
    expect(entry).toEqual({ ...event, size: stored.length });
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
    ['another version', ['2', `${PREV} nonce {"data":1}`]],
    ['no version', ['1']],
    ['somebody else’s', ['1', 'hello']],
    ['broken', ['1', `${PREV} nonce {"data":`]],
  ])('is ignored if it was stored by %s', (_, fields) => {
    expect(decodeEntry(CURSOR, fields)).toBeUndefined();
  });
});

import { describe, expect, it } from '@jest/globals';
import { checkChannels, checkPublication, compareCursors, isCursor } from './event.js';
import { SseError, show } from '../common/sse.errors.js';

describe('Cursors', () => {
  it.each([
    ['1763884800000-5', '1763884800000-5', 0],
    ['1763884800000-5', '1763884800000-10', -1],
    ['1763884800001-0', '1763884800000-999999', 1],
    ['999999999999-1', '1763884800000-1', -1],
  ])('orders %s and %s by their numbers', (a, b, sign) => {
    expect(Math.sign(compareCursors(a, b))).toBe(sign);
  });

  it.each([
    '',
    '5',
    '1763884800000',
    '1763884800000-',
    '-5',
    '1763884800000-5 ',
    '1763884800000-5-5',
    'a-5',
    7,
    null,
  ])('does not accept %p as a cursor', (value) => expect(isCursor(value)).toBe(false));
});

describe('A publication', () => {
  it('contains the serialised data, and the original value', () => {
    expect(checkPublication({ a: 1 }, { type: 't', id: 5, retry: 0, idempotencyKey: 'k' }, 100)).toEqual({
      data: '{"a":1}',
      type: 't',
      id: '5',
      retry: 0,
      idempotencyKey: 'k',
      transient: false,
    });
  });

  it('measures data as it is sent: a string as it is, other values as JSON', () => {
    expect(checkPublication('"""', {}, 3).data).toBe('"\\"\\"\\""');
    expect(() => checkPublication('éé', {}, 3)).toThrow('at most 3 bytes, got 4');
    expect(() => checkPublication(['a'], {}, 4)).toThrow('at most 4 bytes, got 5');
  });

  it('explains why data cannot be serialised, and keeps the cause', () => {
    const cause = new Error('no text of mine');
    const data = {
      toJSON() {
        throw cause;
      },
    };
    expect(() => checkPublication(data, {}, 100)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('no text of mine'), cause }),
    );
  });
});

describe('The data of an event', () => {
  it('is serialised once', () => {
    let calls = 0;
    const data = { id: { toJSON: () => `${++calls}` }, none: {}, list: [{}] };
    expect(checkPublication(data, {}, 100).data).toBe('{"id":"1","none":{},"list":[{}]}');
    expect(calls).toBe(1);
  });

  it('is reported as circular, however many objects form the circle', () => {
    const parent: { children: object[] } = { children: [] };
    for (let n = 0; n < 100; n++) parent.children.push({ parent });
    expect(() => checkPublication(parent, {}, 100)).toThrow(/serialisable as JSON: .*circular/);
  });
});

describe('Channels of a connection', () => {
  it('are normalised and unique', () => {
    expect(checkChannels(['cafe\u0301', 'caf\u00e9', 'a'])).toEqual(['caf\u00e9', 'a']);
    expect(checkChannels('a')).toEqual(['a']);
  });
});

describe('An error', () => {
  it('has the HTTP status of the response, and shows its message only to clients that caused it', () => {
    expect(new SseError('SSE_INPUT', 'bad')).toMatchObject({ status: 400, statusCode: 400, expose: true });
    expect(new SseError('SSE_UNAVAILABLE', 'away')).toMatchObject({
      status: 503,
      statusCode: 503,
      expose: false,
    });
  });

  it('shows any value in one short line', () => {
    expect(show('a\nb\u0007')).toBe('"a\\nb\\u0007"');
    expect(show('\u202eabc')).toBe('"\\u{202e}abc"');
    expect(show('x'.repeat(500))).toBe(`"${'x'.repeat(79)}… (502 characters)`);
    expect([show(() => 1), show({}), show([]), show(null), show(undefined), show(1n)]).toEqual([
      'a function',
      'an object',
      'an array',
      'null',
      'undefined',
      '1',
    ]);
  });
});

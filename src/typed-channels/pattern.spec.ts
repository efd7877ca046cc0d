import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { checkChannel } from '../event/event.js';
import { ChannelPattern } from './pattern.js';

const order = new ChannelPattern('order:{id}');
const two = new ChannelPattern('chat:{room}/{user}');
/** Any text with bytes in UTF-8, with more than its share of what could be confused. */
const text = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
  fc.string({
    unit: fc.constantFrom(...Array.from('aA1~:/|-._@%7C \u00e9e\u0301\u1100\u1161\u212b\u00c5')),
    minLength: 1,
    maxLength: 6,
  }),
);

describe('The name of a typed channel', () => {
  it('gives its values back, is a channel in canonical form, and no other values have it', () => {
    const names = new Map<string, string>();
    fc.assert(
      fc.property(text, text, (room, user) => {
        const name = two.nameOf({ room, user });
        expect(checkChannel(name)).toBe(name);
        expect(two.parse(name)).toEqual({ room, user });
        const values = JSON.stringify([room, user]);
        expect(names.get(name) ?? values).toBe(values);
        names.set(name, values);
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ['auth0|123', 'order:auth0~7C123'],
    ['a+b@c.d', 'order:a~2Bb@c.d'],
    ['a:b/c', 'order:a~3Ab~2Fc'],
    ['~7C', 'order:~7E7C'],
    ['Müller', 'order:M~C3~BCller'],
    ['Mu\u0308ller', 'order:Mu~CC~88ller'],
    ['\u212b', 'order:~E2~84~AB'],
    ['__proto__', 'order:__proto__'],
    [7, 'order:7'],
    [-0, 'order:0'],
    [1.5, 'order:1.5'],
    [2n ** 64n, 'order:18446744073709551616'],
  ])('is readable for usual values: %s', (id, name) => {
    expect(order.nameOf({ id })).toBe(name);
    expect(order.parse(name)).toEqual({ id: String(id) });
  });

  it.each([
    ['of another pattern', 'orders:7'],
    ['with another separator', 'order:7:8'],
    ['without a value', 'order:'],
    ['with an escape that is not needed', 'order:~41'],
    ['with an escape in small letters', 'order:~7c'],
    ['with a letter that is escaped', 'order:M\u00fcller'],
    ['with bytes that are no text', 'order:~FF'],
    ['with an escape that is cut off', 'order:a~'],
    ['with more behind it', 'order:7\n'],
    ['that is not in canonical form', 'order:Mu\u0308ller'],
  ])('has no values if it is one %s', (_, name) => {
    expect(order.parse(name)).toBeUndefined();
  });

  it.each([
    ['an empty text', { id: '' }],
    ['a lone surrogate', { id: 'a\ud800' }],
    ['undefined', { id: undefined }],
    ['null', { id: null }],
    ['no value', {}],
    ['NaN', { id: Number.NaN }],
    ['a number that JavaScript has rounded', { id: 2 ** 53 }],
    ['an object', { id: { toString: () => '7' } }],
    ['a list', { id: ['7'] }],
    ['true', { id: true }],
    ['an unknown parameter', { id: 7, user: 8 }],
    ['a value of the prototype', Object.create({ id: 7 }) as object],
    ['more than a name can hold', { id: 'x'.repeat(195) }],
  ])('is refused for %s', (_, values) => {
    expect(() => order.nameOf(values as never)).toThrow(
      expect.objectContaining({ code: 'SSE_INPUT', message: expect.stringContaining('order:{id}') }),
    );
  });
});

describe('A pattern', () => {
  it.each(['news', '{id}', 'user:{id}/orders/{order}', 'a{b}c', 'a.b-c_d@e~f:{g}', '\u00e9:{id}'])(
    'may be %s',
    (pattern) => {
      const { parameters } = new ChannelPattern(pattern);
      const values = Object.fromEntries(parameters.map((name) => [name, 'x-é|']));
      expect(new ChannelPattern(pattern).parse(new ChannelPattern(pattern).nameOf(values))).toEqual(values);
    },
  );

  it.each([
    '',
    'order {id}',
    'order:{}',
    'order:{id',
    'order:id}',
    'order:{{id}}',
    'order:{id}{user}',
    'order:{id}-{user}',
    'order:{id}:{id}',
    'order:{the id}',
    'x'.repeat(201),
    'order:*',
    7,
    undefined,
  ])('is refused where it is %s', (pattern) => {
    expect(() => new ChannelPattern(pattern as string)).toThrow(
      expect.objectContaining({ code: 'SSE_OPTIONS', message: expect.stringContaining('`pattern`') }),
    );
  });
});

import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { compact, isTooDeep, MAX_DEPTH, membersOf } from './json.js';

const nested = (depth: number, inner = '') => `${'['.repeat(depth)}${inner}${']'.repeat(depth)}`;

describe('The members of a JSON object', () => {
  it('are the texts from which JSON.parse() makes their values', () => {
    const spaced = (value: unknown) => JSON.stringify(value, null, 1);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.boolean(), (object, isSpaced) => {
        const text = isSpaced ? spaced(object) : JSON.stringify(object);
        const members = [...membersOf(text)].map(([key, json]) => [key, JSON.parse(json)] as const);
        // `fromEntries` and `parse` both make a property of `__proto__`.
        expect(JSON.stringify(Object.fromEntries(members))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it.each([
    ['{"data":1724442618569203714,"id":12.50}', { data: '1724442618569203714', id: '12.50' }],
    ['{"a":1e400 , "b" : -0.0}', { a: '1e400', b: '-0.0' }],
    [String.raw`{"a\\":"\\","b":"\\\"}"}`, { 'a\\': String.raw`"\\"`, b: String.raw`"\\\"}"` }],
    ['{"a":1,"a":{"a":2}}', { a: '{"a":2}' }],
    [' {\n} ', {}],
  ])('keep each character of %s', (text, members) =>
    expect(Object.fromEntries(membersOf(text))).toEqual(members),
  );
});

describe('JSON', () => {
  it('is compacted to the output of JSON.stringify()', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(compact(JSON.stringify(value, null, '\t'))).toBe(JSON.stringify(value));
      }),
    );
    expect(compact(' [ 12.50 ,\r\n"a  b" ] ')).toBe('[12.50,"a  b"]');
  });

  const deep = nested(MAX_DEPTH + 1);
  it.each([
    ['as deep as is allowed', { json: nested(MAX_DEPTH, '"x"'), is: false }],
    ['one level deeper', { json: deep, is: true }],
    ['of objects one level deeper', { json: deep.replaceAll('[', '{"a":').replaceAll(']', '}'), is: true }],
    ['with brackets in a string', { json: JSON.stringify(`\\"${deep}`), is: false }],
    [
      'of many lists side by side',
      {
        json: `[${Array(2 * MAX_DEPTH)
          .fill('[]')
          .join()}]`,
        is: false,
      },
    ],
  ])('%s is checked for its depth', (_, { json, is }) => expect(isTooDeep(json)).toBe(is));
});

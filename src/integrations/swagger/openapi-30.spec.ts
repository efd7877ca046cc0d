import { describe, expect, it } from '@jest/globals';
import { toOpenApi30 } from './openapi-30.js';

const NULL = { type: 'string', nullable: true, enum: [null] };

describe('A schema of draft 07 in OpenAPI 3.0', () => {
  it.each([
    ['has a list for a constant', { const: 'a' }, { enum: ['a'] }],
    ['has a nullable text for null', { type: 'null' }, NULL],
    ['has the same for the constant null', { const: null }, NULL],
    ['is nullable', { type: ['string', 'null'] }, { type: 'string', nullable: true }],
    [
      'has alternatives for several types',
      { type: ['string', 'number'], minLength: 1 },
      {
        anyOf: [
          { type: 'string', minLength: 1 },
          { type: 'number', minLength: 1 },
        ],
      },
    ],
    [
      'excludes a bound',
      { exclusiveMinimum: 0, exclusiveMaximum: 9 },
      { minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: true },
    ],
    ['keeps a stricter bound', { exclusiveMinimum: 0, minimum: 1 }, { minimum: 1 }],
    ['keeps a stricter upper bound', { exclusiveMaximum: 9, maximum: 8 }, { maximum: 8 }],
    [
      'has lists of any items for a tuple',
      { type: 'array', items: [{ type: 'string' }], additionalItems: false },
      { type: 'array', items: {} },
    ],
    ['has items', { type: 'array', items: { const: 1 } }, { type: 'array', items: { enum: [1] } }],
    [
      'allows other fields with patterns for names',
      { patternProperties: { '^a': {} }, additionalProperties: false },
      {},
    ],
    ['forbids other fields', { additionalProperties: false }, { additionalProperties: false }],
    [
      'describes other fields',
      { additionalProperties: { const: 1 } },
      { additionalProperties: { enum: [1] } },
    ],
    ['has `anyOf` for `oneOf`', { oneOf: [{ const: 1 }, true] }, { anyOf: [{ enum: [1] }, {}] }],
    [
      'combines both',
      { oneOf: [{ const: 1 }], anyOf: [{ const: 2 }] },
      { allOf: [{ anyOf: [{ enum: [2] }] }, { anyOf: [{ enum: [1] }] }] },
    ],
    ['keeps `not` without loss', { not: { type: 'string' } }, { not: { type: 'string' } }],
    ['leaves out `not` where it would refuse more', { not: { type: 'array', contains: {} } }, {}],
    ['has no empty list of required fields', { required: [], properties: {} }, { properties: {} }],
    ['refuses a field', { properties: { a: false } }, { properties: { a: { not: {} } } }],
    [
      'keeps fields with the names of keywords',
      { properties: { const: { type: 'string' } } },
      { properties: { const: { type: 'string' } } },
    ],
    ['has no siblings of a reference', { $ref: '#/a', description: 'b' }, { $ref: '#/a' }],
    [
      'has extensions for the content of a text',
      { contentMediaType: 'application/json', contentSchema: { const: 1 } },
      { 'x-content-media-type': 'application/json', 'x-content-schema': { enum: [1] } },
    ],
    ['has no other keywords', { propertyNames: {}, if: {}, examples: [1], $comment: 'c' }, {}],
  ])('%s', (_, schema, expected) => {
    expect(toOpenApi30(schema)).toEqual(expected);
  });
});

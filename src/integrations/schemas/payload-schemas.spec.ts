import { describe, expect, it } from '@jest/globals';
import { defineChannel } from '../../typed-channels/define-channel.js';
import { type } from '../../typed-channels/standard-schema.js';
import type { StandardSchema } from '../../typed-channels/standard-schema.js';
import type { JsonSchema } from './json-schema.js';
import { Names } from './names.js';
import { PayloadSchemas } from './payload-schemas.js';

/** A schema of a library without a converter. */
const plain = (): StandardSchema => ({
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) },
});

/** The payload of a schema that the application's converter returns. */
function payloadOf(schema: JsonSchema | undefined, names = new Names()) {
  const definition = defineChannel('payload:{id}', { a: plain() });
  const payloads = new PayloadSchemas('draft-2020-12', { toJsonSchema: () => schema }, names);
  return { payload: payloads.of(definition as never, 'a'), components: payloads.components };
}

const REF = '#/components/schemas/payload.id.a';

describe('The schemas of payloads', () => {
  it.each<[string, JsonSchema, string]>([
    ['a type', { type: 'string' }, 'text'],
    ['another type', { type: 'object' }, 'json'],
    ['types', { type: ['string', 'null'] }, 'text json'],
    ['a constant', { const: 'a' }, 'text'],
    ['another constant', { const: null }, 'json'],
    ['values', { enum: ['a', 1] }, 'text json'],
    ['alternatives', { anyOf: [{ type: 'string' }, { const: 'a' }] }, 'text'],
    ['exclusive alternatives', { oneOf: [{ type: 'number' }, { type: 'null' }] }, 'json'],
    ['a combination', { allOf: [{ description: 'a' }, { type: 'string' }] }, 'text'],
    ['a reference', { $ref: '#/$defs/a~1b', $defs: { 'a/b': { type: 'string' } } }, 'text'],
    ['a reference to itself', { anyOf: [{ $ref: '#' }, { type: 'number' }] }, 'json'],
    ['nothing', { description: 'a' }, 'text json'],
  ])('know by %s whether data is a text or JSON', (_, schema, forms) => {
    expect(payloadOf(schema).payload.forms.join(' ')).toBe(forms);
  });

  it('have references within the document', () => {
    const list = { type: 'array', items: { $ref: '#' } };
    const { payload, components } = payloadOf({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'https://example.com/a',
      properties: { list, b: { $ref: '#/$defs/b' }, again: { $ref: '#/properties/list' }, default: list },
      enum: [{ $ref: '#' }],
      $defs: { b: { $ref: '#/$defs/b%20c' }, 'b c': { type: 'string' } },
    });
    expect(payload.schema).toEqual({ $ref: REF });
    expect(components).toEqual({
      'payload.id.a': {
        properties: {
          list: { type: 'array', items: { $ref: REF } },
          b: { $ref: `${REF}.b` },
          again: { $ref: `${REF}/properties/list` },
          default: { type: 'array', items: { $ref: REF } },
        },
        enum: [{ $ref: '#' }],
      },
      'payload.id.a.b': { $ref: `${REF}.b.c` },
      'payload.id.a.b.c': { type: 'string' },
    });
  });

  it('have other names than those of the document', () => {
    const { payload, components } = payloadOf({ type: 'string' }, new Names(['payload.id.a']));
    expect(payload.schema).toEqual({ $ref: `${REF}.2` });
    expect(Object.keys(components)).toEqual(['payload.id.a.2']);
  });

  it.each([undefined, {}])('allow any data if the converter returns %j', (schema) => {
    expect(payloadOf(schema)).toEqual({ payload: { forms: ['text', 'json'] }, components: {} });
  });

  it('do not convert what only the compiler checks', () => {
    const definition = defineChannel('payload', { a: type<string>() });
    const toJsonSchema = () => {
      throw new Error('called');
    };
    const payloads = new PayloadSchemas('draft-07', { toJsonSchema });
    expect(payloads.of(definition as never, 'a')).toEqual({ forms: ['text', 'json'] });
  });

  it('come from the library, and from the converter where it refuses', () => {
    const refusing = (output: () => object) =>
      ({ '~standard': { ...plain()['~standard'], jsonSchema: { output } } }) as StandardSchema;
    const definition = defineChannel('payload:{id}', {
      own: refusing(() => ({ const: 'own' })),
      refused: refusing(() => {
        throw new Error('No dates');
      }),
    });
    const given = new PayloadSchemas('draft-07', { toJsonSchema: (_, target) => ({ const: target }) });
    for (const name of ['own', 'refused']) given.of(definition as never, name);
    expect(Object.values(given.components)).toEqual([{ const: 'own' }, { const: 'draft-07' }]);
    expect(() => new PayloadSchemas('draft-07', {}).of(definition as never, 'refused')).toThrow(
      'Expected the schema of `refused` in `payload:{id}` to have a JSON Schema: No dates',
    );
  });

  it.each([Promise.resolve({ type: 'string' }), 'string', [{ type: 'string' }], true])(
    'are refused if the converter returns %p',
    (schema) => {
      expect(() => payloadOf(schema as never)).toThrow(
        expect.objectContaining({
          code: 'SSE_OPTIONS',
          message: expect.stringContaining(
            'Expected the schema of `a` in `payload:{id}` to have a JSON Schema: got',
          ),
        }),
      );
    },
  );

  it.each<[object, string]>([
    [{ toJSONSchema: () => ({}) }, 'Expected no key `toJSONSchema` in `options`'],
    [{ toJsonSchema: undefined }, '`toJsonSchema` to be a function'],
    [{ toJsonSchema: {} }, '`toJsonSchema` to be a function'],
  ])('do not take the options %p', (options, message) => {
    expect(() => new PayloadSchemas('draft-07', options)).toThrow(
      expect.objectContaining({ code: 'SSE_OPTIONS', message: expect.stringContaining(message) }),
    );
  });
});

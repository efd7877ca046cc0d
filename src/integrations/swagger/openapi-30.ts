import { isRecord, type JsonSchema } from '../schemas/json-schema.js';

/** What a Schema Object of OpenAPI 3.0 has in common with JSON Schema. */
const KEPT = new Set(
  `title multipleOf maximum minimum maxLength minLength pattern maxItems minItems uniqueItems maxProperties minProperties required enum
  description format default`.split(/\s+/),
);
const NULL = { type: 'string', nullable: true, enum: [null] };

/**
 * A schema of draft 07 as OpenAPI 3.0 can write it. What that has no words for is left out, so that data which fits the schema fits the result.
 * Libraries need not know this dialect: arktype refuses it, valibot refuses some schemas.
 */
export function toOpenApi30(schema: unknown): JsonSchema {
  if (schema === false) return { not: {} };
  if (!isRecord(schema)) return {};
  const { $ref, type, const: constant } = schema;
  if (typeof $ref === 'string') return { $ref };
  if (Array.isArray(type)) return withTypes(schema, type as string[]);
  if (type === 'null' || constant === null) return NULL;
  // An empty list of required fields is not allowed.
  const isKept = ([keyword, value]: [string, unknown]) =>
    KEPT.has(keyword) && !(keyword === 'required' && (value as []).length === 0);
  const kept = Object.entries(schema).filter(isKept);
  return {
    ...Object.fromEntries(kept),
    ...(type !== undefined && { type }),
    ...(constant !== undefined && { enum: [constant] }),
    ...(type === 'array' && { items: {} }),
    ...bounds(schema),
    ...parts(schema),
    ...content(schema),
  };
}

function withTypes(schema: JsonSchema, types: readonly string[]): JsonSchema {
  const choices = types.map((type) => toOpenApi30({ ...schema, type }));
  const [first, ...others] = choices.filter((choice) => choice !== NULL);
  if (first && others.length === 0) return { ...first, ...(choices.length > 1 && { nullable: true }) };
  return { anyOf: choices };
}

/** In 3.0, these two are no numbers. */
function bounds({ exclusiveMinimum, exclusiveMaximum, minimum, maximum }: JsonSchema): JsonSchema {
  const isLower = typeof exclusiveMinimum === 'number' && !(Number(minimum) > exclusiveMinimum);
  const isUpper = typeof exclusiveMaximum === 'number' && !(Number(maximum) < exclusiveMaximum);
  return {
    ...(isLower && { minimum: exclusiveMinimum, exclusiveMinimum: true }),
    ...(isUpper && { maximum: exclusiveMaximum, exclusiveMaximum: true }),
  };
}

function parts(schema: JsonSchema): JsonSchema {
  const {
    properties,
    items,
    additionalProperties: others,
    patternProperties,
    anyOf,
    oneOf,
    allOf,
    not,
  } = schema;
  const choices = [anyOf, oneOf].filter((list) => Array.isArray(list)).map((list) => list.map(toOpenApi30));
  return {
    ...(isRecord(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, toOpenApi30(property)]),
      ),
    }),
    ...(isRecord(items) && { items: toOpenApi30(items) }),
    ...(others !== undefined &&
      !patternProperties && {
        additionalProperties: typeof others === 'boolean' ? others : toOpenApi30(others),
      }),
    // Alternatives of `oneOf` may overlap without what is left out.
    ...(choices.length === 1 && { anyOf: choices[0] }),
    ...(choices.length === 2 && { allOf: choices.map((list) => ({ anyOf: list })) }),
    ...(Array.isArray(allOf) && { allOf: allOf.map(toOpenApi30) }),
    ...(isExact(not) && { not }),
  };
}

/** Whether nothing is left out, without which `not` would refuse more. */
const isExact = (schema: unknown) =>
  isRecord(schema) && JSON.stringify(toOpenApi30(schema)) === JSON.stringify(schema);

/** Extensions, as 3.0 does not describe the content of a string. */
function content({ contentMediaType, contentSchema }: JsonSchema): JsonSchema {
  return {
    ...(contentMediaType !== undefined && { 'x-content-media-type': contentMediaType }),
    ...(contentSchema !== undefined && { 'x-content-schema': toOpenApi30(contentSchema) }),
  };
}

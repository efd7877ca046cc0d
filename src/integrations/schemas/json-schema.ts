/** A schema of JSON Schema. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** The dialect of a schema. Standard JSON Schema recommends these two to every library. */
export type SseSchemaTarget = 'draft-2020-12' | 'draft-07';

/** Keywords whose values are data. */
const DATA = new Set(['const', 'enum', 'default', 'examples']);
/** Keywords whose values have schemas by name, which may be the name of a keyword. */
const BY_NAME = new Set(['properties', 'patternProperties', 'dependentSchemas']);
const DEFINITIONS = ['$defs', 'definitions'];
/** Keywords that have no place within a document. */
const OWN = new Set(['$schema', '$id', ...DEFINITIONS]);

export const isRecord = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schemas that a schema defines for its references, by reference. */
export function definedIn(schema: JsonSchema): ReadonlyMap<string, JsonSchema> {
  const entries = DEFINITIONS.flatMap((keyword) =>
    Object.entries(Object(schema[keyword]) as Record<string, JsonSchema>).map(
      ([name, defined]) => [`#/${keyword}/${name}`, defined] as const,
    ),
  );
  return new Map(entries);
}

/** A reference as `definedIn()` has it. */
export const decodePointer = (reference: string): string =>
  decodeURIComponent(reference).replaceAll('~1', '/').replaceAll('~0', '~');

/** A schema for another document, where its references have other targets. */
export function moved(schema: JsonSchema, rename: (reference: string) => string): JsonSchema {
  const rest = Object.entries(schema).filter(([keyword]) => !OWN.has(keyword));
  return renamed(Object.fromEntries(rest), rename) as JsonSchema;
}

function renamed(node: unknown, rename: (reference: string) => string, isByName = false): unknown {
  if (Array.isArray(node)) return node.map((item) => renamed(item, rename));
  if (!isRecord(node)) return node;
  const entries = Object.entries(node).map(([key, value]) => {
    if (isByName) return [key, renamed(value, rename)];
    if (key === '$ref' && typeof value === 'string' && value.startsWith('#')) return [key, rename(value)];
    return [key, DATA.has(key) ? value : renamed(value, rename, BY_NAME.has(key))];
  });
  return Object.fromEntries(entries) as JsonSchema;
}

/** How data is sent: a string as it is, anything else as JSON. */
export type DataForm = 'text' | 'json';

const FORMS: readonly DataForm[] = ['text', 'json'];

/** The forms that data of a schema can have. */
export function formsOf(schema: JsonSchema): readonly DataForm[] {
  const known = new Map([['#', schema], ...definedIn(schema)]);
  const forms = (node: unknown, followed: readonly string[]): readonly DataForm[] => {
    if (!isRecord(node)) return FORMS;
    const { $ref, type, enum: values, anyOf, oneOf = anyOf, allOf } = node;
    if (typeof $ref === 'string') {
      const reference = decodePointer($ref);
      return followed.includes(reference) ? [] : forms(known.get(reference), [...followed, reference]);
    }
    if ('const' in node) return [formOf(node.const)];
    if (Array.isArray(values)) return unique(values.map(formOf));
    if (type !== undefined) return unique([type].flat().map((name) => (name === 'string' ? 'text' : 'json')));
    if (Array.isArray(oneOf)) return unique(oneOf.flatMap((choice) => forms(choice, followed)));
    if (!Array.isArray(allOf)) return FORMS;
    return FORMS.filter((form) => allOf.every((part) => forms(part, followed).includes(form)));
  };
  return forms(schema, []);
}

const formOf = (value: unknown): DataForm => (typeof value === 'string' ? 'text' : 'json');
const unique = (forms: readonly DataForm[]): readonly DataForm[] => [...new Set(forms)];

import { isThenable } from '../../common/objects.js';
import { checkKeys, optionError, show, SseError } from '../../common/sse.errors.js';
import type { AnyDefinition } from '../../typed-channels/define-channel.js';
import { isUnchecked, type StandardSchema } from '../../typed-channels/standard-schema.js';
import {
  type DataForm,
  decodePointer,
  definedIn,
  formsOf,
  isRecord,
  type JsonSchema,
  moved,
  type SseSchemaTarget,
} from './json-schema.js';
import { Names } from './names.js';

/** How a document gets its JSON Schemas. */
export interface SseSchemaOptions {
  /**
   * Converts a schema whose library does not do so itself (Standard JSON Schema), or refuses to. It describes what the schema makes of
   * the data, after JSON; undefined or `{}` allows any.
   *
   * @default any data for such a schema; an error where its library refuses
   */
  toJsonSchema?: (schema: StandardSchema, target: SseSchemaTarget) => object | undefined;
}

/** The data of an event. */
export interface Payload {
  /** A reference to its schema; undefined if any data is allowed. */
  readonly schema?: JsonSchema;
  /** How it is sent. */
  readonly forms: readonly DataForm[];
}

interface Converted {
  readonly '~standard': {
    readonly jsonSchema?: { output(options: { target: SseSchemaTarget }): object };
  };
}

const PLACE = '#/components/schemas/';

/** Collects the schemas of data for the components of a document, where viewers show them and generators name their types. */
export class PayloadSchemas {
  /** The schemas, by name. */
  readonly components: Record<string, JsonSchema> = {};
  readonly #payloads = new Map<string, Payload>();

  /**
   * @param names with those that the components of the document have
   * @throws SseError `SSE_OPTIONS` for an unknown option: its schemas would allow any data
   */
  constructor(
    private readonly target: SseSchemaTarget,
    private readonly options: SseSchemaOptions,
    private readonly names = new Names(),
  ) {
    checkKeys('SSE_OPTIONS', 'options', options, ['toJsonSchema']);
    if ('toJsonSchema' in options && typeof options.toJsonSchema !== 'function') {
      throw optionError('toJsonSchema', 'a function', show(options.toJsonSchema));
    }
  }

  /** @throws SseError `SSE_OPTIONS` with the channel and the type, if a schema cannot be converted */
  of(definition: AnyDefinition, type: string): Payload {
    const { pattern, events } = definition as { pattern: string; events: Record<string, StandardSchema> };
    try {
      return this.add(`${pattern} ${type || 'message'}`, () => this.#convert(events[type]!));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `Expected the schema of \`${type}\` in \`${pattern}\` to have a JSON Schema: ${reason}; convert it with \`toJsonSchema\``;
      throw new SseError('SSE_OPTIONS', message, { cause });
    }
  }

  /** The payload of a name: a schema is made once. */
  add(key: string, make: () => JsonSchema): Payload {
    const known = this.#payloads.get(key);
    if (known) return known;
    const schema = make();
    const forms = formsOf(schema);
    const isAny = Object.keys(schema).every((keyword) => keyword === '$schema');
    const payload = isAny ? { forms } : { schema: { $ref: PLACE + this.#place(key, schema) }, forms };
    this.#payloads.set(key, payload);
    return payload;
  }

  #convert(schema: StandardSchema): JsonSchema {
    if (isUnchecked(schema)) return {};
    const { target } = this;
    const { toJsonSchema } = this.options;
    const { jsonSchema } = (schema as unknown as Converted)['~standard'];
    let converted: object | undefined;
    try {
      converted = jsonSchema?.output({ target });
    } catch (error) {
      if (!toJsonSchema) throw error;
    }
    const found: unknown = converted ?? toJsonSchema?.(schema, target) ?? {};
    // A promise would be an object without keywords, which allows any data.
    if (!isRecord(found) || isThenable(found)) throw new Error(`got ${show(found)}`);
    // Libraries add what is no JSON.
    return JSON.parse(JSON.stringify(found)) as JsonSchema;
  }

  /** References within a schema would refer to the document. @returns its name */
  #place(key: string, schema: JsonSchema): string {
    const name = this.names.take(key);
    const definitions = definedIn(schema);
    const names = new Map([['#', name]]);
    for (const reference of definitions.keys()) {
      names.set(reference, this.names.take(`${name}.${reference.split('/').slice(2).join('.')}`));
    }
    const rename = (reference: string) => {
      const known = names.get(decodePointer(reference));
      return PLACE + (known ?? name + reference.slice(1));
    };
    this.components[name] = moved(schema, rename);
    for (const [reference, defined] of definitions) {
      this.components[names.get(reference)!] = moved(defined, rename);
    }
    return name;
  }
}

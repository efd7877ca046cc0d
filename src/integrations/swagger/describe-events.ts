import { isPlain } from '../../common/objects.js';
import { SseError, show } from '../../common/sse.errors.js';
import { EVENTS_MARK, type EventsMark } from '../../routes/openapi.js';
import { type AnyDefinition, definedChannels } from '../../typed-channels/define-channel.js';
import { eventSchemas } from '../schemas/event-schemas.js';
import type { JsonSchema } from '../schemas/json-schema.js';
import { Names } from '../schemas/names.js';
import { PayloadSchemas, type SseSchemaOptions } from '../schemas/payload-schemas.js';
import { toOpenApi30 } from './openapi-30.js';

/** What is read of a document. */
interface OpenApiDocument {
  openapi: string;
  components?: { schemas?: object };
}

/**
 * Completes a document of `SwaggerModule.createDocument()`: routes with typed channels get a schema for each type of their events, also for those
 * of the module. With OpenAPI 3.2 it is an `itemSchema`, with 3.0 and 3.1 the `schema` of a list. The schemas of the data are among the components
 * of the document. It calls the converters of all schemas that routes deliver.
 *
 * @returns a new document
 * @throws SseError `SSE_OPTIONS` for a document of another version, an unknown option, and a schema that cannot be converted
 * @example
 * ```ts
 * const config = new DocumentBuilder().setOpenAPIVersion('3.2.0').build();
 * const document = describeEvents(SwaggerModule.createDocument(app, config));
 * SwaggerModule.setup('api', app, document);
 * ```
 */
export function describeEvents<Document extends OpenApiDocument>(
  document: Document,
  options: SseSchemaOptions = {},
): Document {
  const minor = Number(/^3\.([012])\./.exec(document.openapi)?.[1]);
  if (Number.isNaN(minor)) {
    throw new SseError(
      'SSE_OPTIONS',
      `Expected a document of OpenAPI 3.0, 3.1 or 3.2, got ${show(document.openapi)}`,
    );
  }
  const dialect: (schema: JsonSchema) => JsonSchema = minor === 0 ? toOpenApi30 : (schema) => schema;
  const { schemas: given = {} } = document.components ?? {};
  const names = new Names(Object.keys(given));
  const payloads = new PayloadSchemas(minor === 0 ? 'draft-07' : 'draft-2020-12', options, names);
  const mediaType = ({ channels, ends = false }: EventsMark, rest: object): object => {
    const events = eventSchemas(channels.map(definitionOf), ends, payloads);
    // Each is converted alone: in 3.0, `oneOf` stays.
    const oneOf = events.map(dialect);
    if (minor >= 2) return { ...rest, itemSchema: { oneOf } };
    // 3.0 and 3.1 do not describe event streams. The media type registry of OpenAPI allows them its model: a complete stream is a list of its events.
    return { ...rest, schema: { type: 'array', items: { oneOf } } };
  };
  const described = replaceMarked(document, mediaType) as Document;
  const added = Object.entries(payloads.components).map(([name, schema]) => [name, dialect(schema)]);
  if (added.length === 0) return described;
  const schemas = { ...given, ...Object.fromEntries(added) };
  return { ...described, components: { ...described.components, schemas } };
}

/** Media types come from the metadata of decorators, which other documents share: they are not changed. */
function replaceMarked(node: unknown, mediaType: (mark: EventsMark, rest: object) => object): unknown {
  if (Array.isArray(node)) return node.map((item) => replaceMarked(item, mediaType));
  if (typeof node !== 'object' || node === null || !isPlain(node)) return node;
  if (EVENTS_MARK in node) {
    const { [EVENTS_MARK]: mark, schema: _, ...rest } = node as Record<string, unknown>;
    return mediaType(mark as EventsMark, rest);
  }
  const entries = Object.entries(node).map(([key, value]) => [key, replaceMarked(value, mediaType)]);
  return Object.fromEntries(entries);
}

function definitionOf(pattern: string): AnyDefinition {
  const found = definedChannels().find((definition) => definition.pattern === pattern);
  if (found) return found;
  throw new SseError(
    'SSE_OPTIONS',
    `Expected a definition of the channels ${show(pattern)} in this process, got none`,
  );
}

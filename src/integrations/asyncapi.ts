import { optionError, show } from '../common/sse.errors.js';
import { type AnyDefinition, definedChannels, isDefinition } from '../typed-channels/define-channel.js';
import type { JsonSchema } from './schemas/json-schema.js';
import { Names } from './schemas/names.js';
import { PayloadSchemas, type SseSchemaOptions } from './schemas/payload-schemas.js';

export type { SseSchemaTarget } from './schemas/json-schema.js';
export type { SseSchemaOptions } from './schemas/payload-schemas.js';

/** The Info Object of a document. */
export interface AsyncApiInfo {
  /** The name of the application. */
  title: string;
  /** The version of its events. */
  version: string;
  /** Its other fields, such as `description` and `license`. */
  [field: string]: unknown;
}

/** A document of AsyncAPI 3.0. */
export interface AsyncApiDocument {
  /** The version of AsyncAPI. */
  asyncapi: '3.0.0';
  /** What was given. */
  info: AsyncApiInfo;
  /** JSON, except for events that are strings only. */
  defaultContentType: string;
  /** One for each definition. */
  channels: Record<string, object>;
  /** For each channel, to publish and to subscribe. */
  operations: Record<string, object>;
  /** The schemas of the data. */
  components: Record<'schemas', Record<string, object>>;
}

/**
 * Describes channels for processes that publish and subscribe, as a document of AsyncAPI 3.0: an address for each definition, a message for each type
 * of its events. The HTTP routes that deliver the channels are in the document of OpenAPI.
 *
 * @param definitions by default all of the process: import the files that define them first
 * @throws SseError `SSE_OPTIONS` for anything but definitions, an unknown option, and a schema that cannot be converted
 * @example
 * ```ts
 * await writeFile('asyncapi.json', JSON.stringify(asyncApi({ title: 'Orders', version: '1.0.0' })));
 * ```
 */
export function asyncApi(
  info: AsyncApiInfo,
  definitions: readonly AnyDefinition[] = definedChannels(),
  options: SseSchemaOptions = {},
): AsyncApiDocument {
  const wrong: unknown = [definitions].flat().find((definition) => !isDefinition(definition));
  if (!Array.isArray(definitions) || wrong !== undefined) {
    throw optionError('definitions', 'a list of definitions of defineChannel()', show(wrong ?? definitions));
  }
  const payloads = new PayloadSchemas('draft-07', options);
  const names = new Names();
  const channels: Record<string, object> = {};
  const operations: Record<string, object> = {};
  for (const definition of definitions) {
    const name = names.take(definition.pattern as string);
    channels[name] = channelObject(definition, payloads);
    const channel = { $ref: `#/channels/${name}` };
    operations[`publish.${name}`] = { action: 'send', channel };
    operations[`subscribe.${name}`] = { action: 'receive', channel };
  }
  const defaultContentType = 'application/json';
  const { components: schemas } = payloads;
  return { asyncapi: '3.0.0', info, defaultContentType, channels, operations, components: { schemas } };
}

function channelObject(definition: AnyDefinition, payloads: PayloadSchemas): object {
  const names = new Names();
  const types = Object.keys(definition.events as object);
  const messages = types.map((type) => [
    names.take(type || 'message'),
    messageObject(definition, type, payloads),
  ]);
  return {
    address: definition.pattern as string,
    parameters: Object.fromEntries(definition.parameters.map((name) => [name, {}])),
    messages: Object.fromEntries(messages) as object,
  };
}

function messageObject(definition: AnyDefinition, type: string, payloads: PayloadSchemas): JsonSchema {
  const { schema, forms } = payloads.of(definition, type);
  return {
    name: type || 'message',
    ...(!forms.includes('json') && { contentType: 'text/plain' }),
    ...(schema && { payload: schema }),
  };
}

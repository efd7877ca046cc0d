import type { AnyDefinition } from '../../typed-channels/define-channel.js';
import type { JsonSchema } from './json-schema.js';
import type { Payload, PayloadSchemas } from './payload-schemas.js';

const TEXT = { type: 'string' };
const CHANNELS = { anyOf: [TEXT, { type: 'array', items: TEXT }] };
const record = (properties: Record<string, JsonSchema>, required: readonly string[]): JsonSchema => ({
  type: 'object',
  required,
  properties,
});
const POSITION = record({ channel: CHANNELS, truncated: { const: true } }, ['channel']);
const REASONS = { type: 'string', enum: ['unknown', 'lost', 'limit', 'failed'] };
const STATUSES = { type: 'string', enum: ['done', 'error', 'aborted', 'lost'] };

/** The data of the module's own events. */
const CONTROL: Record<string, JsonSchema> = {
  'sse.open': POSITION,
  'sse.position': POSITION,
  'sse.reset': record({ channel: TEXT, reason: REASONS }, ['channel', 'reason']),
};
const END = { 'sse.end': record({ status: STATUSES, reason: TEXT }, ['status']) };

/** The schemas of the events on a route, as a parser of event streams returns them: one for each type, without overlaps. */
export function eventSchemas(
  definitions: readonly AnyDefinition[],
  ends: boolean,
  payloads: PayloadSchemas,
): readonly JsonSchema[] {
  const byType = new Map<string, Payload[]>();
  const add = (type: string, payload: Payload) => byType.set(type, [...(byType.get(type) ?? []), payload]);
  for (const definition of definitions) {
    for (const type of Object.keys(definition.events as object)) {
      add(type === 'message' ? '' : type, payloads.of(definition, type));
    }
  }
  for (const [type, schema] of Object.entries({ ...CONTROL, ...(ends && END) })) {
    add(
      type,
      payloads.add(type, () => schema),
    );
  }
  return [...byType].map(([type, found]) => eventSchema(type, found));
}

function eventSchema(type: string, payloads: readonly Payload[]): JsonSchema {
  const data = payloads.map(dataSchema);
  const others = {
    id: TEXT,
    data: data.length === 1 ? data[0]! : { anyOf: data },
    retry: { type: 'integer', minimum: 0 },
  };
  // Viewers list the events by title.
  if (type !== '')
    return { title: type, ...record({ event: { ...TEXT, const: type }, ...others }, ['event', 'data']) };
  // `event` is the field that makes the difference.
  return { title: 'message', ...record(others, ['data']), additionalProperties: false };
}

function dataSchema({ schema, forms }: Payload): JsonSchema {
  if (!schema) return { ...TEXT, description: 'A string as it is, any other value as JSON' };
  const json = { contentMediaType: 'application/json', contentSchema: schema };
  if (!forms.includes('text')) return { ...TEXT, ...json };
  if (!forms.includes('json')) return schema;
  return { ...TEXT, anyOf: [{ description: 'A string as it is' }, json] };
}

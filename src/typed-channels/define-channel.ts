import { checkType } from '../event/event.js';
import { SseTypedChannel } from '../event/typed-channel.js';
import { isPlain } from '../common/objects.js';
import { optionError, show } from '../common/sse.errors.js';
import type { Jsonify } from './jsonify.js';
import { ChannelPattern } from './pattern.js';
import { type InputOf, isSchema, type OutputOf, type StandardSchema } from './standard-schema.js';

/** The schemas of a channel's events, by event type. `''` and `message` stand for events without a type. */
export type EventSchemas = Readonly<Record<string, StandardSchema>>;

/** The names of the parameters in a pattern. */
type Names<Pattern extends string> = Pattern extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;

/**
 * Channels with typed events. Call it with the values of the parameters for one of them: `orders({ id: 7 })`.
 *
 * @typeParam Pattern the name of the channels, with parameters
 * @typeParam Schemas of the events, by event type
 */
export interface SseChannelDefinition<
  Pattern extends string = string,
  Schemas extends EventSchemas = EventSchemas,
> {
  /**
   * A channel. Values are encoded in its name: different values give different names, and any text can be one.
   *
   * @throws SseError `SSE_INPUT` for an unknown or missing parameter, an empty text, a lone surrogate, a number that JavaScript has rounded,
   *   and a name of more than 200 characters
   */
  (
    ...values: string extends Pattern
      ? [values?: Record<string, string | number | bigint>]
      : [Names<Pattern>] extends [never]
        ? []
        : [values: { readonly [Name in Names<Pattern>]: string | number | bigint }]
  ): SseTypedChannel<SseChannelDefinition<Pattern, Schemas>>;
  /** The name of the channels, with parameters. */
  readonly pattern: Pattern;
  /** The names of its parameters, in order. */
  readonly parameters: readonly string[];
  /** The schemas of the events, by event type. */
  readonly events: Schemas;
  /** The values of the parameters in the name of a channel, as texts; undefined if the definition gives no such name. */
  parse(name: string): SseParametersOf<SseChannelDefinition<Pattern, Schemas>> | undefined;
  /** For the compiler alone: the data of the events as clients get it. */
  readonly '~events'?: { readonly [Type in keyof Schemas & string]: Jsonify<OutputOf<Schemas[Type]>> };
}

/** A definition with any parameters and events. */
// oxlint-disable-next-line typescript/no-explicit-any -- the parameters of functions are contravariant
export type AnyDefinition = SseChannelDefinition<any, any>;

type TextsOf<Pattern extends string> = string extends Pattern
  ? Record<string, string>
  : { [Name in Names<Pattern>]: string };

/** The decoded parameters of a definition's channels. */
export type SseParametersOf<Definition extends AnyDefinition> = TextsOf<Definition['pattern']>;

/** The types of a definition's events. */
export type SseEventTypeOf<Definition extends AnyDefinition> = keyof Definition['events'] & string;

/** The data that can be published as an event of a type. */
export type SseDataOf<Definition extends AnyDefinition, Type extends SseEventTypeOf<Definition>> = InputOf<
  Definition['events'][Type]
>;

const definitions = new Map<string, AnyDefinition>();
const known = new WeakSet<object>();

/** Of this process, by pattern: those of the last call, where a module is evaluated again. */
export const definedChannels = (): readonly AnyDefinition[] => [...definitions.values()];

/** The decoded parameters of a channel. */
export const parametersOf = ({ name, definition }: SseTypedChannel): Record<string, string> =>
  (definition as SseChannelDefinition).parse(name)!;

export const isDefinition = (value: unknown): value is AnyDefinition => known.has(Object(value) as object);

/**
 * Defines channels with typed events, once for publishers, routes, clients and documentation.
 *
 * What is published to one of its channels by `publish(orders({ id: 7 }), type, data)` is checked, and transformed, by the schema of the
 * event's type. What subscribers get is not checked again.
 *
 * @param pattern a channel, or a pattern with parameters: `order:{id}`. Between two parameters there is a text with `:` or `/`.
 * @param events the schema of each event type, or `type<T>()` for a type that only the compiler checks. `''` or `message` for events without a type
 * @throws SseError `SSE_OPTIONS` for an unacceptable pattern or schema, `SSE_INPUT` for an event type that cannot be published
 * @example
 * ```ts
 * export const orders = defineChannel('order:{id}', {
 *   status: z.object({ status: z.enum(['open', 'sent']) }),
 *   paid: type<{ amount: number }>(),
 * });
 *
 * await sse.publish(orders({ id: 7 }), 'paid', { amount: 5 });
 * ```
 */
export function defineChannel<const Pattern extends string, const Schemas extends EventSchemas>(
  pattern: Pattern,
  events: Schemas,
): SseChannelDefinition<Pattern, Schemas> {
  const names = new ChannelPattern(pattern);
  checkEvents(events);
  const define = (...values: [ParameterValues?]) => new SseTypedChannel(names.nameOf(...values), definition);
  const definition = Object.assign(define, {
    pattern: names.pattern,
    parameters: Object.freeze(names.parameters),
    events: Object.freeze({ ...events }),
    parse: (name: string) => names.parse(name),
  }) as unknown as SseChannelDefinition<Pattern, Schemas>;
  Object.freeze(definition);
  known.add(definition);
  definitions.set(names.pattern, definition as AnyDefinition);
  return definition;
}

type ParameterValues = Parameters<ChannelPattern['nameOf']>[0];

function checkEvents(events: unknown): void {
  if (typeof events !== 'object' || events === null || !isPlain(events) || Object.keys(events).length === 0) {
    throw optionError('events', 'an object with a schema for each event type', show(events));
  }
  if ('' in events && 'message' in events) {
    throw optionError(
      'events',
      'without one of `` and `message`, which both are events without a type',
      'both',
    );
  }
  for (const [name, schema] of Object.entries(events)) {
    if (name !== '') checkType(name);
    if (!isSchema(schema)) {
      throw optionError(
        `events.${show(name).slice(1, -1)}`,
        'a schema of Standard Schema, or type<T>()',
        show(schema),
      );
    }
  }
}

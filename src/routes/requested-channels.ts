import { inputError, optionError, show } from '../common/sse.errors.js';
import type { SseTypedChannel } from '../event/typed-channel.js';
import {
  type AnyDefinition,
  isDefinition,
  type SseChannelDefinition,
} from '../typed-channels/define-channel.js';

/** The parts of a request that may name channels, on Express and Fastify. */
export interface ChannelRequest {
  /** Parameters of the route. */
  params: Record<string, string>;
  /** Parameters of the query: with a nested parser, values may be objects. */
  query: Record<string, unknown>;
}

/** Finds the channel or channels of a request. The result is checked, also against the rule of the route. */
export type ChannelSource = (request: ChannelRequest) => unknown;

/** @throws SseError `SSE_OPTIONS` for anything but a function that finds channels, or streams */
export function checkSource(source: unknown): void {
  if (typeof source === 'function' && !isDefinition(source)) return;
  throw optionError('channel', 'a function of the request, such as fromQuery', show(source));
}

/** Where the channels of a route come from: a function, or definitions, whose parameters are those of the route with the same names. */
export type ChannelOption = ChannelSource | AnyDefinition | readonly AnyDefinition[];

/** @throws SseError `SSE_OPTIONS` */
export function sourceOfOption(option: unknown): ChannelSource {
  const definitions = definitionsOf(option);
  if (definitions)
    return ({ params }) => checkDistinct(definitions.map((definition) => typedChannel(definition, params)));
  if (typeof option === 'function') return option as ChannelSource;
  const expected = 'a function of the request, such as fromQuery, or definitions of defineChannel()';
  throw optionError('channel', expected, show(option));
}

/** The definitions of an option; undefined for a function. */
export function definitionsOf(option: unknown): readonly AnyDefinition[] | undefined {
  const list = Array.isArray(option) ? (option as unknown[]) : [option];
  return list.length > 0 && list.every(isDefinition) ? list : undefined;
}

function typedChannel(definition: AnyDefinition, params: Readonly<Record<string, unknown>>): SseTypedChannel {
  const values = definition.parameters.map((parameter) => {
    if (parameter in params) return [parameter, params[parameter]];
    throw new Error(
      `Expected a route with the parameter \`:${parameter}\` of the channel ${definition.pattern}`,
    );
  });
  return (definition as SseChannelDefinition)(Object.fromEntries(values) as Record<string, string>);
}

/**
 * An authorizer is asked about the parameters of one definition: another one must not give its decision to the same channel.
 *
 * @throws SseError `SSE_INPUT`
 */
function checkDistinct(channels: readonly SseTypedChannel[]): readonly SseTypedChannel[] {
  const names = channels.map(({ name }) => name);
  const twice = names.find((name, n) => names.indexOf(name) < n);
  if (twice !== undefined) throw inputError('channel', 'of one definition of the route', twice);
  return channels;
}

/**
 * The channels that the client names in the query, as `channel`, once or several times: for routes that leave the choice to
 * the client, within what their rule allows.
 *
 * @throws SseError `SSE_INPUT` for anything but a text or a list of texts
 */
export function fromQuery({ query }: Pick<ChannelRequest, 'query'>): string | string[] {
  const { channel } = query;
  const list = listOf(channel);
  if (typeof list === 'string') return list;
  if (Array.isArray(list) && list.every((value) => typeof value === 'string')) return list;
  throw inputError('channel', 'a text, or a list of texts', channel);
}

/** A long list as a list: parsers of nested queries (qs) return it as an object with the keys 0, 1, 2, … */
export function listOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  const isIndexed = keys.length > 0 && keys.every((key, n) => key === String(n));
  return isIndexed ? Object.values(value) : value;
}

/**
 * Refuses a target that a handler has taken from the query as it is: a parser of nested queries makes objects, whose `user`
 * would be the client's to say.
 *
 * @throws SseError `SSE_INPUT`
 */
export function checkOwn(target: unknown, { query }: Pick<ChannelRequest, 'query'>): void {
  if (typeof target !== 'object' || Array.isArray(target)) return;
  const text = JSON.stringify(target);
  const isIn = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    (JSON.stringify(value) === text || Object.values(value).some(isIn));
  if (Object.values(query).some(isIn)) throw inputError('channel', 'a text, or a list of texts', target);
}

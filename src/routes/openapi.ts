import type { AnyDefinition } from '../typed-channels/define-channel.js';
import type { SseRule } from './authorizer.js';
import { type ChannelOption, definitionsOf, fromQuery } from './requested-channels.js';
import { SseTickets } from './sse-tickets.service.js';

/** Where @nestjs/swagger keeps what its decorators say of a handler: `swagger.spec` holds that it still reads this. */
const RESPONSES = 'swagger/apiResponse';
const PARAMETERS = 'swagger/apiParameters';
/** Where Nest keeps the parameters of handlers, which @nestjs/swagger lists, too. */
const ARGUMENTS = '__routeArguments__';
const DESCRIPTION = 'sse:description';
const STREAM = 'text/event-stream';

/**
 * Marks a media type in a document, in which `describeEvents()` replaces it by the schemas of the events. Decorators do not know the version of
 * OpenAPI, on which these depend; an extension is legal in all.
 */
export const EVENTS_MARK = 'x-sse-events';

/** What a route delivers. */
export interface EventsMark {
  /** The patterns of its channels. */
  readonly channels: readonly string[];
  /** Whether `sse.end` follows. */
  readonly ends?: boolean;
}

const TEXT = { type: 'string' };
const CHANNEL = {
  name: 'channel',
  in: 'query',
  required: true,
  description: 'A channel; may be given several times',
  schema: { type: 'array', items: TEXT },
};
const TICKET = {
  name: 'ticket',
  in: 'query',
  required: true,
  description: 'A ticket, which is valid once',
  schema: TEXT,
};
const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The id to resume after, which an `EventSource` sends when it reconnects',
  schema: TEXT,
};
const LAST_EVENT_ID_IN_QUERY = {
  name: 'lastEventId',
  in: 'query',
  required: false,
  description: 'The id to resume after, for a first connection; the header has priority',
  schema: TEXT,
};

interface Response {
  description?: string;
  content?: Record<string, object>;
}
type Responses = Record<string, Response>;
type Parameter = Pick<typeof CHANNEL, 'name' | 'in'>;

/** What is known of a route. */
export interface RouteDescription {
  readonly allow?: SseRule;
  readonly channel?: ChannelOption;
  readonly definitions?: readonly AnyDefinition[];
  readonly ends?: true;
}

/**
 * Describes a route for @nestjs/swagger, if the application uses it. The application's own decorators have priority. Several decorators of
 * this package may describe the same route.
 */
export function describeRoute(prototype: object, key: string | symbol, description: RouteDescription): void {
  const known = Reflect.getOwnMetadata(DESCRIPTION, prototype, key) as RouteDescription | undefined;
  Reflect.defineMetadata(DESCRIPTION, { ...known, ...description }, prototype, key);
  // Decorators above this one run later and would append to its values: a microtask runs after all of them.
  if (!known) queueMicrotask(() => write(prototype, key));
}

function write(prototype: object, key: string | symbol): void {
  const description = Reflect.getOwnMetadata(DESCRIPTION, prototype, key) as RouteDescription;
  const { allow, channel } = description;
  const handler = (prototype as Record<string | symbol, object>)[key]!;
  const responses = responsesOf(description);
  const given = {
    ...(Reflect.getMetadata(RESPONSES, prototype.constructor) as Responses | undefined),
    ...(Reflect.getMetadata(RESPONSES, handler) as Responses | undefined),
  };
  const merged = Object.entries(responses).map(([status, own]) => [status, merge(own, given[status])]);
  Reflect.defineMetadata(RESPONSES, { ...given, ...Object.fromEntries(merged) }, handler);

  const listed = (Reflect.getMetadata(PARAMETERS, handler) as Parameter[] | undefined) ?? [];
  const own = [
    ...pathParameters(channel, prototype, key),
    named(LAST_EVENT_ID, prototype, key),
    LAST_EVENT_ID_IN_QUERY,
    ...(channel === fromQuery ? [CHANNEL] : []),
    ...(allow === SseTickets ? [TICKET] : []),
  ];
  const missing = own.filter((parameter) => !listed.some((other) => isSame(parameter, other)));
  Reflect.defineMetadata(PARAMETERS, [...listed, ...missing], handler);
}

function responsesOf({ allow, channel, definitions, ends }: RouteDescription): Responses {
  const channels = definitions?.map(({ pattern }) => pattern as string);
  const mark: EventsMark | undefined = channels && { channels, ...(ends && { ends }) };
  const media = { schema: TEXT, ...(mark && { [EVENTS_MARK]: mark }) };
  const isOfRequest =
    definitions?.some(({ parameters }) => parameters.length > 0) ||
    (channel !== undefined && !definitionsOf(channel));
  return {
    200: { description: 'Server-sent events', content: { [STREAM]: media } },
    ...(ends && { 204: { description: 'There is nothing more to deliver' } }),
    ...(isOfRequest && { 400: { description: 'A channel is not acceptable' } }),
    ...refusalsOf(allow),
  };
}

function refusalsOf(allow: SseRule | undefined): Responses {
  if (allow === SseTickets) return { 401: { description: 'The ticket is not valid, or not any more' } };
  return {
    ...(allow && { 403: { description: 'A channel may not be read' } }),
    ...(typeof allow === 'function' && { 401: { description: 'The client is not known' } }),
  };
}

function merge(own: Response, given: Response = {}): Response {
  const description = given.description || own.description;
  return {
    ...own,
    ...given,
    description,
    ...(own.content && { content: withMedia(own.content, given.content) }),
  };
}

/** A media type that the application gives a schema is its own. */
function withMedia(own: Record<string, object>, given: Record<string, object> = {}): Record<string, object> {
  const media = given[STREAM] ?? {};
  const isOwn = 'schema' in media || 'itemSchema' in media;
  return { ...own, ...given, [STREAM]: isOwn ? media : { ...own[STREAM], ...media } };
}

/** The parameters of the path from which definitions take theirs. Nest lists those that the handler takes, too. */
function pathParameters(channel: ChannelOption | undefined, prototype: object, key: string | symbol) {
  const names = definitionsOf(channel)?.flatMap(({ parameters }) => parameters) ?? [];
  const taken = namesOf(prototype, key);
  return [...new Set(names)]
    .filter((name) => !taken.includes(name))
    .map((name) => ({ name, in: 'path', required: true, schema: TEXT }));
}

/** What the decorators of the handler's arguments name: `@Param('id')`. */
function namesOf(prototype: object, key: string | symbol): unknown[] {
  const given = Reflect.getMetadata(ARGUMENTS, prototype.constructor, key) as
    Record<string, { data?: unknown }> | undefined;
  return Object.values(given ?? {}).map(({ data }) => data);
}

/** The parameter in the spelling of the handler's own `@Headers()`, so that it is listed once. */
function named<T extends Parameter>(parameter: T, prototype: object, key: string | symbol): T {
  const names = namesOf(prototype, key);
  const name = names.find(
    (data) => typeof data === 'string' && isSame({ ...parameter, name: data }, parameter),
  );
  return { ...parameter, ...(name !== undefined && { name }) };
}

function isSame(one: Parameter, other: Parameter): boolean {
  const nameOf = ({ name, in: place }: Parameter) => (place === 'header' ? name?.toLowerCase() : name);
  return one.in === other.in && nameOf(one) === nameOf(other);
}

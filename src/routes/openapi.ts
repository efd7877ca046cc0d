import type { SseRule } from './authorizer.js';
import { type ChannelSource, fromQuery } from './requested-channels.js';
import { SseTickets } from './sse-tickets.service.js';

/** Where @nestjs/swagger keeps what its decorators say of a handler: `swagger.spec` holds that it still reads this. */
const RESPONSES = 'swagger/apiResponse';
const PARAMETERS = 'swagger/apiParameters';
/** Where Nest keeps the parameters of handlers, which @nestjs/swagger lists, too. */
const ARGUMENTS = '__routeArguments__';

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
  description: 'The id to resume after; also as `lastEventId` in the query',
  schema: TEXT,
};

interface Response {
  description?: string;
  content?: object;
}
type Responses = Record<string, Response>;
type Parameter = Pick<typeof CHANNEL, 'name' | 'in'>;

/** Describes a route for @nestjs/swagger, if the application uses it. The application's own decorators have priority. */
export function describeRoute(
  prototype: object,
  key: string | symbol,
  { allow, channel, ends }: { allow?: SseRule; channel?: ChannelSource; ends?: true },
): void {
  // Decorators above this one run later and would append to its values: a microtask runs after all of them.
  queueMicrotask(() => {
    const handler = (prototype as Record<string | symbol, object>)[key]!;
    const responses: Responses = {
      200: { description: 'Server-sent events', content: { 'text/event-stream': { schema: TEXT } } },
      ...(ends && { 204: { description: 'There is nothing more to deliver' } }),
      ...refusalsOf(allow),
    };
    const given = {
      ...(Reflect.getMetadata(RESPONSES, prototype.constructor) as Responses | undefined),
      ...(Reflect.getMetadata(RESPONSES, handler) as Responses | undefined),
    };
    const merged = Object.entries(responses).map(([status, own]) => [status, merge(own, given[status])]);
    Reflect.defineMetadata(RESPONSES, { ...given, ...Object.fromEntries(merged) }, handler);

    const listed = (Reflect.getMetadata(PARAMETERS, handler) as Parameter[] | undefined) ?? [];
    const own = [
      named(LAST_EVENT_ID, prototype, key),
      ...(channel === fromQuery ? [CHANNEL] : []),
      ...(allow === SseTickets ? [TICKET] : []),
    ];
    const missing = own.filter((parameter) => !listed.some((other) => isSame(parameter, other)));
    Reflect.defineMetadata(PARAMETERS, [...listed, ...missing], handler);
  });
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
    ...(own.content && { content: { ...own.content, ...given.content } }),
  };
}

/** The parameter in the spelling of the handler's own `@Headers()`, so that it is listed once. */
function named<T extends Parameter>(parameter: T, prototype: object, key: string | symbol): T {
  const given = Reflect.getMetadata(ARGUMENTS, prototype.constructor, key) as Record<
    string,
    { data?: unknown }
  >;
  const names = Object.values(given ?? {}).map(({ data }) => data);
  const name = names.find(
    (data) => typeof data === 'string' && isSame({ ...parameter, name: data }, parameter),
  );
  return { ...parameter, ...(name !== undefined && { name }) };
}

function isSame(one: Parameter, other: Parameter): boolean {
  const nameOf = ({ name, in: place }: Parameter) => (place === 'header' ? name?.toLowerCase() : name);
  return one.in === other.in && nameOf(one) === nameOf(other);
}

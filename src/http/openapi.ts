import { fromQuery } from './requested-channels.js';
import type { SseChannelOptions } from './sse-channel.decorator.js';

/** Where @nestjs/swagger keeps what its decorators say of a handler: `swagger.spec` holds that it still reads this. */
const RESPONSES = 'swagger/apiResponse';
const PARAMETERS = 'swagger/apiParameters';

const TEXT = { type: 'string' };
const CHANNEL = {
  name: 'channel',
  in: 'query',
  required: true,
  description: 'A channel; may be given several times',
  schema: { type: 'array', items: TEXT },
};
const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The id to resume after; also as `lastEventId` in the query',
  schema: TEXT,
};

/**
 * Tells @nestjs/swagger, where an application has it, what a route serves. What its own decorators say below this one comes first;
 * those above add to it.
 */
export function describeRoute(handler: object, { allow, channel }: SseChannelOptions): void {
  const responses: Record<string, object> = {
    200: { description: 'Server-sent events', content: { 'text/event-stream': { schema: TEXT } } },
    ...(allow && { 403: { description: 'A channel may not be read' } }),
    ...(typeof allow === 'function' && { 401: { description: 'The client is not known' } }),
  };
  const own = (Reflect.getMetadata(RESPONSES, handler) as Record<string, object> | undefined) ?? {};
  for (const [status, response] of Object.entries(own)) {
    responses[status] = { ...responses[status], ...response };
  }
  const parameters = channel === fromQuery ? [LAST_EVENT_ID, CHANNEL] : [LAST_EVENT_ID];
  const given = (Reflect.getMetadata(PARAMETERS, handler) as Parameter[] | undefined) ?? [];
  const isGiven = ({ name, in: place }: Parameter) =>
    given.some((one) => one.in === place && one.name.toLowerCase() === name.toLowerCase());
  const missing = parameters.filter((parameter) => !isGiven(parameter));
  Reflect.defineMetadata(PARAMETERS, [...given, ...missing], handler);
  Reflect.defineMetadata(RESPONSES, responses, handler);
}

interface Parameter {
  name: string;
  in?: string;
}

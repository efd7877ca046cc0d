import type { SseRule } from './authorizer.js';

/** Where @nestjs/swagger keeps what its decorators say of a handler: `swagger.spec` holds that it still reads this. */
const RESPONSES = 'swagger/apiResponse';
const PARAMETERS = 'swagger/apiParameters';

const TEXT = { type: 'string' };
const CHANNEL = {
  name: 'channel',
  in: 'query',
  required: false,
  description: 'A channel, where the handler names none; may be given several times',
  schema: { type: 'array', items: TEXT },
};
const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The id to resume after; also as `lastEventId` in the query',
  schema: TEXT,
};

/** Tells @nestjs/swagger, where an application has it, what a route serves; what its own decorators say comes first. */
export function describeRoute(handler: object, rule: SseRule | undefined): void {
  const responses = {
    200: { description: 'Server-sent events', content: { 'text/event-stream': { schema: TEXT } } },
    ...(rule && { 403: { description: 'A channel may not be read' } }),
    ...(typeof rule === 'function' && { 401: { description: 'The client is not known' } }),
  };
  const parameters = rule ? [LAST_EVENT_ID, CHANNEL] : [LAST_EVENT_ID];
  const given = Reflect.getMetadata(PARAMETERS, handler) as { name: string }[] | undefined;
  const missing = parameters.filter(({ name }) => !given?.some((parameter) => parameter.name === name));
  Reflect.defineMetadata(PARAMETERS, [...(given ?? []), ...missing], handler);
  Reflect.defineMetadata(
    RESPONSES,
    { ...responses, ...(Reflect.getMetadata(RESPONSES, handler) as object | undefined) },
    handler,
  );
}

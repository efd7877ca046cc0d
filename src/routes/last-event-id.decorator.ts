import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { lastEventIdOf, type StreamRequest } from '../http/last-event-id.js';

/**
 * The id of the last event that the client has received: the `Last-Event-ID` header, which an `EventSource` sends when it
 * reconnects, otherwise `lastEventId` in the query, for its first connection. Undefined without either. The id is not
 * checked: `messages()` accepts any text.
 */
export const LastEventId = createParamDecorator((_: unknown, context: ExecutionContext) =>
  lastEventIdOf(context.switchToHttp().getRequest<StreamRequest>()),
);

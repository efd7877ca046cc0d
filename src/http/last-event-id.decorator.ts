import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

/** What is read of a request, on Express and Fastify alike. */
interface StreamRequest {
  headers: Record<string, string | string[] | undefined>;
  query?: unknown;
}

/**
 * The id of the last event the client has received: the `Last-Event-ID` header, which an `EventSource` sends when
 * it reconnects, else the query's `lastEventId`, for its first connection. Undefined when there is none; otherwise
 * whatever the client sent, unchecked: `messages()` takes anything.
 */
export const LastEventId = createParamDecorator((_: unknown, context: ExecutionContext) =>
  lastEventIdOf(context.switchToHttp().getRequest<StreamRequest>()),
);

/** What the decorator reads. */
export function lastEventIdOf({ headers, query }: StreamRequest): string | undefined {
  const header = headers['last-event-id'];
  // Browsers send UTF-8, which Node hands out byte by byte.
  if (typeof header === 'string' && header !== '') return Buffer.from(header, 'latin1').toString('utf8');
  const given = (query as { lastEventId?: unknown } | undefined)?.lastEventId;
  // A client that appends its position to its URL at each reconnection sends the oldest one first.
  const texts: unknown[] = Array.isArray(given) ? given : [given];
  return texts.findLast((text) => typeof text === 'string' && text !== '') as string | undefined;
}

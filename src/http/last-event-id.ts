/** The part of a request that may hold the id, on Express and Fastify. */
export interface StreamRequest {
  headers: Record<string, string | string[] | undefined>;
  query?: unknown;
}

/** The id that a client resumes after: of the header, otherwise of the query. */
export function lastEventIdOf({ headers, query }: StreamRequest): string | undefined {
  const header = headers['last-event-id'];
  // Browsers send UTF-8; Node decodes headers as latin1.
  if (typeof header === 'string' && header !== '') return Buffer.from(header, 'latin1').toString('utf8');
  const given = (query as { lastEventId?: unknown } | undefined)?.lastEventId;
  // A client that appends its position to its URL at each reconnection sends the oldest one first.
  const texts: unknown[] = Array.isArray(given) ? given : [given];
  return texts.findLast((text) => typeof text === 'string' && text !== '') as string | undefined;
}

/** What of a request a channel may be taken from, on Express and Fastify alike. */
export interface ChannelRequest {
  params: Record<string, string>;
  query: Record<string, unknown>;
}

/**
 * The channels that a request asks for, in its query as `channel`, once or several times.
 *
 * They are checked by a rule before they are read: there is no decorator that hands them out without one.
 */
export function requestedChannelsOf({ query }: Pick<ChannelRequest, 'query'>): unknown {
  return query.channel;
}

import type { ConnectionSource } from '../connections/access.js';
import type { PlatformRequest } from './platform.js';

/**
 * The route's path on Express and Fastify, and the client's address as the application's trust in proxies gives it.
 * A Unix socket has no address: the proxy in front of it counts as one client, unless it is trusted to name its clients.
 */
export function sourceOf({ route, routeOptions, ip }: PlatformRequest): ConnectionSource {
  const path = route?.path ?? routeOptions?.url;
  return { route: typeof path === 'string' ? path : undefined, address: ip || 'unix' };
}

import type { ConnectionSource } from '../access/access.js';
import type { PlatformRequest } from './platform.js';

/**
 * Where a request comes from: its route's path on Express and on Fastify, and the address as the application trusts proxies.
 * A Unix socket has none: a proxy in front of it is the one client, unless it is trusted to name others.
 */
export function sourceOf({ route, routeOptions, ip }: PlatformRequest): ConnectionSource {
  const path = route?.path ?? routeOptions?.url;
  return { route: typeof path === 'string' ? path : undefined, address: ip || 'unix' };
}

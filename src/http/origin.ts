import type { IncomingHttpHeaders } from 'node:http';
import { ForbiddenException } from '@nestjs/common';

/**
 * Keeps pages of other sites from reading with their visitors' cookies.
 *
 * A request that carries cookies has to come from the application's own origin, or from one of the list. That a browser
 * would not show the answer to such a page is no protection where CORS was opened for all, and the stream would be there.
 *
 * @returns the origin of the list that the request comes from
 * @throws ForbiddenException
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export function checkOrigin(headers: IncomingHttpHeaders, origins: readonly string[]): string | undefined {
  const { origin, cookie } = headers;
  if (origin !== undefined && origins.includes(origin)) return origin;
  if (cookie !== undefined && isForeign(headers)) throw new ForbiddenException();
  return undefined;
}

function isForeign({ origin, host, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  // What browsers say themselves is right behind every proxy.
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host);
}

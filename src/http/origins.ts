import type { IncomingHttpHeaders } from 'node:http';
import { ForbiddenException, Logger } from '@nestjs/common';
import { show } from '../sse.errors.js';
import type { PlatformRequest, PlatformResponse } from './platform.js';

/** Refused origins that are remembered as logged: a client can make up any number of them. */
const MAX_LOGGED = 100;

/**
 * Keeps pages of other sites from reading with their visitors' cookies, and tells those of the list that they may read.
 *
 * A request that carries cookies has to come from the application's own origin, or from one of the list. That a browser
 * would not show the answer to such a page is no protection where CORS was opened for all, and the connection would be there.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export class Origins {
  readonly #logger = new Logger('SseModule');
  readonly #logged = new Set<string>();

  constructor(private readonly allowed: readonly string[]) {}

  /** @throws ForbiddenException */
  check({ headers }: PlatformRequest, response: PlatformResponse): void {
    const { origin, cookie } = headers;
    if (origin !== undefined && this.allowed.includes(origin)) return allow(origin, response);
    if (cookie === undefined || !isForeign(headers)) return;
    this.#log(origin);
    throw new ForbiddenException();
  }

  #log(origin = 'unknown'): void {
    if (this.#logged.has(origin) || this.#logged.size >= MAX_LOGGED) return;
    this.#logged.add(origin);
    this.#logger.warn(
      `Refused a request with cookies from another origin, ${show(origin)}: to allow it, add that to the option \`origins\``,
    );
  }
}

function isForeign({ origin, host, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  // What browsers say themselves is right behind every proxy.
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host);
}

function allow(origin: string, response: PlatformResponse): void {
  const { vary, 'access-control-allow-origin': answered } = response.getHeaders();
  // Others may have allowed it, and without cookies: `enableCors({ origin })` does. What they allow to all is theirs.
  if (answered !== undefined && answered !== origin) return;
  // On Fastify, what others set comes later, and would take its place.
  const set = (name: string, value: string) =>
    response.raw ? response.header!(name, value) : response.setHeader(name, value);
  set('Access-Control-Allow-Origin', origin);
  set('Access-Control-Allow-Credentials', 'true');
  if (answered === undefined) set('Vary', vary === undefined ? 'Origin' : `${vary}, Origin`);
}

import type { TLSSocket } from 'node:tls';
import { ForbiddenException, Logger } from '@nestjs/common';
import { show } from '../common/sse.errors.js';
import { type PlatformRequest, type PlatformResponse, setHeader } from '../http/platform.js';

/** Refused origins that are logged: clients can invent any number. */
const MAX_LOGGED = 100;

/** Protocol and host of a request as Express and Fastify give them, according to `trust proxy` and `trustProxy`. */
type OriginRequest = PlatformRequest & { readonly protocol?: string; readonly host?: string };

/** HTTP authentication that a browser adds by itself, as it does cookies. Other schemes are set by scripts, after a preflight. */
const AMBIENT = /^(?:basic|digest|hoba|mutual|negotiate|ntlm|privatetoken|scram-[\w-]+)\b/i;
/** Headers by which proxies hand on a client certificate (RFC 9440, and before it). */
const CERTIFICATE = /(?:^|-)client-?cert(?:$|-)/;

/**
 * Keeps pages of other origins from reading with their visitors' credentials, and sets CORS headers for the allowed ones.
 *
 * A request with credentials that browsers add by themselves (cookies, HTTP authentication, a client certificate) has to
 * come from the application's own origin, or from an allowed one. CORS alone is no protection: an application may allow all
 * origins, and the connection would be open in any case.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export class Origins {
  readonly #logger = new Logger('SseModule');
  readonly #logged = new Set<string>();

  constructor(private readonly allowed: readonly string[]) {}

  /** @throws ForbiddenException */
  check(request: OriginRequest, response: PlatformResponse): void {
    const { origin } = request.headers;
    if (origin !== undefined && this.allowed.includes(origin)) return allow(origin, response);
    if (!isForeign(request) || !hasCredentials(request)) return;
    this.#log(request);
    throw new ForbiddenException();
  }

  #log(request: OriginRequest): void {
    const { origin = 'unknown' } = request.headers;
    if (this.#logged.has(origin) || this.#logged.size >= MAX_LOGGED) return;
    this.#logged.add(origin);
    // Behind a proxy that terminates TLS, the application's own pages seem to have another scheme.
    const isOtherScheme = URL.canParse(origin) && new URL(origin).host === hostOf(request);
    const proxy = isOtherScheme
      ? 'let the application trust its proxy (`trust proxy`, `trustProxy`), or '
      : '';
    this.#logger.warn(
      `Refused a request with credentials from another origin, ${show(origin)}: to allow it, ${proxy}add that to the option \`origins\``,
    );
  }
}

function isForeign(request: OriginRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  // The browser's own header is right behind every proxy.
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  if (origin === undefined) return false;
  const own = `${request.protocol}://${hostOf(request)}`;
  return !URL.canParse(own) || new URL(own).origin !== origin;
}

/** HTTP/2 has `:authority` in place of `Host`. */
const hostOf = ({ host, headers }: OriginRequest) =>
  host || headers.host || (headers[':authority'] as string | undefined);

function hasCredentials(request: OriginRequest): boolean {
  const { headers } = request;
  if (headers.cookie !== undefined || AMBIENT.test(headers.authorization ?? '')) return true;
  const { socket } = request.raw ?? request;
  const certificate = 'getPeerCertificate' in socket ? (socket as TLSSocket).getPeerCertificate() : undefined;
  if (Object.keys(certificate ?? {}).length > 0) return true;
  return Object.keys(headers).some((name) => CERTIFICATE.test(name) && headers[name] !== '');
}

function allow(origin: string, response: PlatformResponse): void {
  const { vary, 'access-control-allow-origin': answered } = response.getHeaders();
  // The application may have allowed it without cookies, as `enableCors({ origin })` does. A wildcard stays as it is.
  if (answered !== undefined && answered !== origin) return;
  setHeader(response, 'Access-Control-Allow-Origin', origin);
  setHeader(response, 'Access-Control-Allow-Credentials', 'true');
  if (answered === undefined) setHeader(response, 'Vary', vary === undefined ? 'Origin' : `${vary}, Origin`);
}

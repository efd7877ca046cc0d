import type { AnyResponse, PlatformRequest, PlatformResponse } from './platform.js';

type Headers = Readonly<Record<string, string>>;

/** How a response is encoded. */
export interface Encoding {
  /** The headers that were given, and those of the encoding. */
  readonly headers: Headers;
  /** From how many bytes on its batches are compressed; undefined: it is not compressed. */
  readonly gzip?: number | undefined;
}

/**
 * Decides for one response, when its other headers are known.
 *
 * @param compression the option of the module
 * @param own the headers that the response adds by itself
 */
export function encodingOf(
  compression: { readonly minBytes: number } | false,
  { headers: { 'accept-encoding': accepted } }: PlatformRequest,
  response: PlatformResponse,
  own: Headers = {},
): Encoding {
  const raw: AnyResponse = response.raw ?? response;
  const [others, ownEncoding] = without(own, 'content-encoding');
  // Fastify does not pass the encoding of a reply on to its raw response.
  const given = ownEncoding ?? response.getHeader('content-encoding');
  const isIdentity = String(given).toLowerCase() === 'identity';
  // The application sets it to turn compression off. It is no value for clients.
  if (isIdentity) raw.removeHeader('content-encoding');
  const headers = isIdentity ? others : own;
  if (!compression) return { headers };
  const [rest, ownVary] = without(headers, 'vary');
  const varying = { ...rest, Vary: withVary(raw.getHeader('vary'), ownVary) };
  if (given !== undefined || !acceptsGzip(accepted)) return { headers: varying };
  return { headers: { ...varying, 'Content-Encoding': 'gzip' }, gzip: compression.minBytes };
}

/** Headers without one of them, and its value. */
function without(headers: Headers, name: string): [others: Headers, value: string | undefined] {
  const found = Object.keys(headers).find((each) => each.toLowerCase() === name);
  if (found === undefined) return [headers, undefined];
  const { [found]: value, ...others } = headers;
  return [others, value];
}

function withVary(...given: (number | string | readonly string[] | undefined)[]): string {
  const names = given
    .flatMap((value = '') => String(value).split(','))
    .map((name) => name.trim())
    .filter(Boolean);
  const isKnown = names.some((name) => name === '*' || name.toLowerCase() === 'accept-encoding');
  return (isKnown ? names : [...names, 'Accept-Encoding']).join(', ');
}

const NAMES = ['gzip', 'x-gzip'];

/**
 * Whether a client that sends this Accept-Encoding wants gzip: it accepts it, and does not prefer the text as it is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding
 */
export function acceptsGzip(header: string | undefined): boolean {
  if (!header) return false;
  const weights = new Map(header.split(',').map(weightOf));
  const gzip = NAMES.map((name) => weights.get(name)).find((weight) => weight !== undefined);
  const any = weights.get('*') ?? 0;
  // Without a weight, identity is accepted, but every listed coding is preferred. A wildcard applies to codings that are not listed.
  const identity = weights.get('identity') ?? (gzip === undefined ? 0 : any);
  const weight = gzip ?? any;
  return weight > 0 && weight >= identity;
}

/** A coding with its weight: 0 if it is not accepted, or if the weight is invalid. */
function weightOf(item: string): [name: string, weight: number] {
  const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return [name, /^[01](\.\d*)?$/.test(q) ? Math.min(Number(q), 1) : 0];
}

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';

/** A response of HTTP/1, or one of HTTP/2, which has a stream in place of much else. */
export type AnyResponse = ServerResponse & { readonly stream?: Writable & { readonly session?: object } };

/** Express's request and response are Node's own; Fastify's request and reply hold them. */
export type PlatformRequest = IncomingMessage & {
  raw?: IncomingMessage;
  query: Record<string, unknown>;
  ip?: string;
  /** Of Express. */
  route?: { path?: unknown };
  /** Of Fastify. */
  routeOptions?: { url?: string };
};
export type PlatformResponse = AnyResponse & {
  raw?: AnyResponse;
  send(body?: unknown): unknown;
  hijack?(): void;
  header?(name: string, value: string): void;
  getHeaders(): OutgoingHttpHeaders;
};

/** Whether the client has left; HTTP/2 only says so on its stream. */
export function isGone({ destroyed, stream }: AnyResponse): boolean {
  return destroyed || stream?.destroyed === true;
}

/** What is to be served, by response: an interceptor that tries again replaces it. */
const serving = new WeakMap<PlatformResponse, () => Promise<void>>();

/**
 * Calls `serve` in place of the answer that Nest sends once all interceptors have completed, whatever value they have made of
 * it. The answer to an error of theirs is sent, a redirection, and a file, which Express would not be asked for in this way.
 */
export function serveInPlaceOfAnswer(response: PlatformResponse, serve: () => Promise<void>): void {
  const isWaiting = serving.has(response);
  serving.set(response, serve);
  if (isWaiting) return;
  // oxlint-disable-next-line typescript/unbound-method -- it is put back where it was
  const { send } = response;
  response.send = (body) => {
    response.send = send;
    const last = serving.get(response)!;
    serving.delete(response);
    const isFile = typeof (body as Partial<Readable> | undefined)?.pipe === 'function';
    if (response.statusCode >= 300 || isFile || body instanceof Error) return response.send(body);
    const served = last();
    // Nest hears of a failure where it has asked for the answer. Somebody else may not listen.
    served.catch(() => undefined);
    return served;
  };
}

/**
 * Has Fastify answer without a body, into the headers of `raw` alone: those of the reply, and those that its `onSend` hooks
 * add, such as cookies.
 *
 * @returns whether the response may be served; not where a hook has failed, or redirects, which Fastify answers
 * @throws what Node throws for a header that cannot be sent
 */
export function takeHeaders(reply: PlatformResponse, raw: ServerResponse): Promise<boolean> {
  // oxlint-disable-next-line typescript/unbound-method -- they are put back where they were
  const { writeHead, write, end } = raw;
  const release = () => Object.assign(raw, { writeHead, write, end });
  return new Promise((resolve, reject) => {
    let failure: unknown;
    Object.assign(raw, {
      writeHead(status: number, headers: OutgoingHttpHeaders) {
        if (status < 300) {
          failure = setHeaders(reply, raw, headers);
          return raw;
        }
        resolve(false);
        return release().writeHead(status, headers);
      },
      write: () => true,
      end() {
        release();
        if (failure) reject(failure);
        else resolve(true);
        return raw;
      },
    });
    reply.send();
  });
}

/** Headers that describe the body in whose place the stream goes. */
const OF_THE_BODY = new Set(['content-length', 'content-encoding', 'transfer-encoding', 'etag']);

/** @returns why one of them cannot be set, which must not go into the answer to that error either */
function setHeaders(reply: PlatformResponse, raw: ServerResponse, headers: OutgoingHttpHeaders): unknown {
  for (const [name, value] of Object.entries(headers)) {
    if (OF_THE_BODY.has(name.toLowerCase())) continue;
    try {
      raw.setHeader(name, value!);
    } catch (error) {
      reply.removeHeader(name);
      return error;
    }
  }
  return undefined;
}

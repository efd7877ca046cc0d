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

/**
 * Calls `serve` in place of the answer that Nest sends once all interceptors have completed, whatever value they have made of
 * it. The answer to an error of theirs is sent, and a file, which Express would not be asked for in this way.
 */
export function serveInPlaceOfAnswer(response: PlatformResponse, serve: () => unknown): void {
  // oxlint-disable-next-line typescript/unbound-method -- it is put back where it was
  const { send } = response;
  response.send = (body) => {
    response.send = send;
    const isFile = typeof (body as Partial<Readable> | undefined)?.pipe === 'function';
    return response.statusCode < 400 && !isFile ? serve() : response.send(body);
  };
}

/**
 * Has Fastify answer without a body, into the headers of `raw` alone: those of the reply, and those that its `onSend` hooks
 * add, such as cookies.
 *
 * @returns whether the response may be served; not where a hook has failed, which Fastify answers
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
        if (status < 400) {
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

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Readable, type Writable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';

/** A response of HTTP/1, or one of HTTP/2, which has a stream instead of its own socket. */
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
  getHeader(name: string): number | string | string[] | undefined;
  getHeaders(): OutgoingHttpHeaders;
};

/** Whether the client has disconnected. With HTTP/2, only the stream shows it. */
export function isGone({ destroyed, stream }: AnyResponse): boolean {
  return destroyed || stream?.destroyed === true;
}

/** Sets a header of the answer, whatever that will be. */
export function setHeader(response: PlatformResponse, name: string, value: string): void {
  // On Fastify, headers that the application sets come later and would replace one of the raw response.
  if (response.raw) response.header!(name, value);
  else response.setHeader(name, value);
}

/** The view of `@SseChannel()` routes. Nest renders it when all interceptors have completed. */
export const VIEW = 'nestjs-sse-channels';

interface Pending {
  serve: () => unknown;
  isAnswered: boolean;
}

const pending = new WeakMap<PlatformResponse, Pending>();

/** Calls `serve` when all interceptors have completed, unless one of them, or an exception filter, answers the request. */
export function serveAtEnd(response: PlatformResponse, serve: () => unknown): void {
  const known = pending.get(response);
  // An interceptor may subscribe more than once, as `retry()` does.
  if (known) return void (known.serve = serve);
  const entry = { serve, isAnswered: false };
  pending.set(response, entry);
  // oxlint-disable-next-line typescript/unbound-method -- it is put back where it was
  const { send } = response;
  // Fastify runs hooks first, and cannot be asked whether something is being sent.
  response.send = (body) => {
    entry.isAnswered = true;
    response.send = send;
    return response.send(body);
  };
}

const adapters = new WeakSet<AbstractHttpAdapter>();

/** Makes an adapter call `serve` when it renders `VIEW`. */
export function serveViews(adapter: AbstractHttpAdapter): void {
  if (adapters.has(adapter)) return;
  adapters.add(adapter);
  const render = adapter.render.bind(adapter) as (...args: unknown[]) => unknown;
  adapter.render = (response: PlatformResponse, view: string, value: unknown) =>
    view === VIEW ? answer(adapter, response, value) : render(response, view, value);
}

function answer(adapter: AbstractHttpAdapter, response: PlatformResponse, value: unknown): unknown {
  const entry = pending.get(response);
  const { headersSent } = response.raw ?? response;
  // Nest waits for a reply of Fastify until it is sent.
  if (entry?.isAnswered || headersSent) return response;
  if (value instanceof Response) return answerWith(adapter, response, value);
  const serves = entry && !isAnswer(response.statusCode) && !(value instanceof StreamableFile);
  return serves ? entry.serve() : adapter.reply(response, value);
}

function answerWith(adapter: AbstractHttpAdapter, response: PlatformResponse, given: Response): unknown {
  for (const [name, value] of given.headers) adapter.setHeader(response, name, value);
  const file = given.body ? new StreamableFile(Readable.from(given.body)) : undefined;
  return adapter.reply(response, file, given.status);
}

/** Whether a status is for a client that gets no events. 204 stops an `EventSource`. */
const isAnswer = (status: number) => status === 204 || status >= 300;

/**
 * Makes Fastify write the headers of the reply to `raw`, without a body: those of the reply, and those that its `onSend` hooks
 * add, such as cookies.
 *
 * @returns whether the response may be served; not where a hook has failed, or has set another status, which Fastify answers
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
        if (!isAnswer(status)) {
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

/** Headers of a body, which the event stream replaces. */
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

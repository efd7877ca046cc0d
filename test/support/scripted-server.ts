import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach } from '@jest/globals';

/** The path of the page. */
const PAGE = '/page';
const EMPTY = '<!doctype html><link rel="icon" href="data:,">';

/** Answers one request. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const servers = new Set<Server>();
afterEach(() => {
  for (const server of servers) server.close().closeAllConnections();
  servers.clear();
});

/** A request as the server got it. */
export interface SeenRequest {
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** By the clock of `performance`. */
  readonly at: number;
}

/** A server that gives its answers in turn, and the last one to all further requests. Besides, it has an empty page. */
export class ScriptedServer {
  readonly requests: SeenRequest[] = [];
  /** Responses whose client has not closed them. */
  readonly open = new Set<ServerResponse>();

  private constructor(
    private readonly server: Server,
    public answers: Answer[],
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === PAGE) return status(200, { 'content-type': 'text/html' }, EMPTY)(response, request);
      this.requests.push({ url: request.url!, headers: request.headers, at: performance.now() });
      this.open.add(response);
      response.on('close', () => this.open.delete(response));
      const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
      answer(response, request);
    });
  }

  static async start(...answers: Answer[]): Promise<ScriptedServer> {
    const server = createServer();
    const scripted = new ScriptedServer(server, answers);
    server.listen(0, '127.0.0.1');
    servers.add(server);
    await once(server, 'listening');
    return scripted;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/feed`;
  }

  get page(): string {
    return new URL(PAGE, this.url).href;
  }

  /** The ids from which the requests resumed; '-' without one. */
  get ids(): string[] {
    return this.requests.map(({ headers }) => (headers['last-event-id'] as string | undefined) ?? '-');
  }

  /** How long each request came after the previous one, in ms. */
  get gaps(): number[] {
    return this.requests.slice(1).map(({ at }, n) => at - this.requests[n]!.at);
  }
}

const HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' };

/** The beginning of an event stream, which stays open. */
export const stream =
  (text = ''): Answer =>
  (response) => {
    response.writeHead(200, HEADERS);
    response.flushHeaders();
    if (text) response.write(text);
  };

/** A whole response of events. */
export const events =
  (text: string): Answer =>
  (response) =>
    response.writeHead(200, HEADERS).end(text);

/** Resumes as this module does, and stays open: the id of an event is its number. */
export const resuming =
  (texts: readonly string[]): Answer =>
  (response, request) =>
    stream(texts.slice(Number(request.headers['last-event-id'] ?? 0)).join(''))(response, request);

/** A connection that breaks after these bytes. */
export const breaking =
  (bytes: Uint8Array): Answer =>
  (response, request) => {
    stream()(response, request);
    response.write(bytes, () => setImmediate(() => response.destroy()));
  };

/** A response without events. */
export const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (response) =>
    response.writeHead(code, headers).end(body);

/** The page of a proxy or a portal. */
export const html = status(200, { 'content-type': 'text/html' }, '<p>Please log in</p>');

/** Closes the connection without a response. */
export const hangUp: Answer = (response) => response.destroy();

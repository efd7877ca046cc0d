/** A server that sends a numbered event every 200 ms, resumes by the last event id, and misbehaves on demand. */
import { once } from 'node:events';
import { createServer } from 'node:http';

const EVERY_MS = 200;
const ARRIVAL_MS = 100;
export const HEARTBEAT_MS = 1_000;
const HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' };
const PAGE = '<!doctype html><link rel="icon" href="data:,">';

/** Answers with a status. */
export const status =
  (code, headers = {}, body = '') =>
  (_, response) =>
    response.writeHead(code, headers).end(body);

/** The id that a request resumes from. One of the clients sends it as a parameter. */
const lastIdOf = ({ headers, url }) =>
  headers['last-event-id'] ?? new URL(url, 'http://localhost').searchParams.get('lastEventId');

export class Feed {
  /** Answers requests in place of the feed. */
  answer;
  /** When the fault ends. */
  faultEnd;
  /** The lines before the first event of a response. */
  firstLines = `:heartbeat ${HEARTBEAT_MS}\n`;
  /** The origin that may read the feed from another one. */
  allowedOrigin;
  /** The numbers of all events, and when each was published. */
  published = [];
  /** The requests that arrived, and their answers. */
  requests = [];
  /** The event streams that were opened. */
  streams = [];
  #open = new Set();
  #silent = new Set();
  #server;
  #timers = [];

  static async start() {
    const feed = new Feed();
    await feed.listen(0);
    feed.#timers.push(setInterval(() => feed.#publish(), EVERY_MS));
    feed.#timers.push(setInterval(() => feed.#write(':\n'), HEARTBEAT_MS));
    return feed;
  }

  async listen(port) {
    this.#server = createServer((request, response) => this.#handle(request, response));
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = this.#server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/feed`;
  }

  /** The page, at the origin of the feed or at another one. */
  page(isOtherOrigin) {
    return `http://${isOtherOrigin ? 'localhost' : '127.0.0.1'}:${this.port}/page`;
  }

  /** Breaks the connections. */
  cut() {
    for (const response of this.#open) response.destroy();
  }

  /** Breaks the connections within the next event. Browsers drop what has arrived if the connection breaks at once. */
  cutWithinEvent() {
    const n = this.published.length + 1;
    this.published.push({ n, at: Date.now() });
    for (const response of this.#open) response.write(textOf(n).slice(0, -2));
    this.silence();
    this.faultEnd = Date.now() + ARRIVAL_MS;
    this.later(() => this.cut(), ARRIVAL_MS);
  }

  /** Ends the responses as HTTP does. */
  end() {
    for (const response of this.#open) response.end();
  }

  /** Sends nothing more on the open connections. */
  silence() {
    for (const response of this.#open) this.#silent.add(response);
  }

  /** Refuses connections for some time. */
  down(ms) {
    this.#server.close();
    this.#server.closeAllConnections();
    this.later(() => void this.listen(this.port), ms);
  }

  later(then, ms) {
    this.#timers.push(setTimeout(then, ms));
  }

  stop() {
    for (const timer of this.#timers) clearInterval(timer);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #handle(request, response) {
    const { pathname } = new URL(request.url, this.url);
    if (pathname === '/page') return status(200, { 'content-type': 'text/html' }, PAGE)(request, response);
    if (this.allowedOrigin !== undefined) this.#allow(response);
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    const seen = { at: Date.now(), lastId: lastIdOf(request) };
    this.requests.push(seen);
    (this.answer ?? this.stream).call(this, request, response);
    seen.status = response.statusCode;
  }

  #allow(response) {
    response.setHeader('access-control-allow-origin', this.allowedOrigin);
    response.setHeader('access-control-allow-headers', 'last-event-id');
  }

  /** Answers with the feed. */
  stream(request, response) {
    const lastId = lastIdOf(request);
    this.streams.push({ at: Date.now() });
    response.writeHead(200, HEADERS);
    response.flushHeaders();
    this.#open.add(response);
    response.on('close', () => this.#open.delete(response));
    const missed = lastId ? this.published.filter(({ n }) => n > Number(lastId)) : [];
    response.write(this.firstLines + missed.map(({ n }) => textOf(n)).join(''));
  }

  #publish() {
    const n = this.published.length + 1;
    this.published.push({ n, at: Date.now() });
    this.#write(textOf(n));
  }

  #write(text) {
    for (const response of this.#open) if (!this.#silent.has(response)) response.write(text);
  }
}

const textOf = (n) => `id: ${n}\ndata: ${n}\n\n`;

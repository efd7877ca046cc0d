import { EventParser, eventsOf } from './event-parser.js';

/** The pause before a request that resumes. A node that was killed refuses at once. */
const RETRY_MS = 1_000;
/** The data after the last chunk. A response that ends without it was cut. */
const DONE = '[DONE]';

/** An answer of a node that is not worth a retry. */
export class Refusal extends Error {}

const pause = (signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, RETRY_MS);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()));
  });

/**
 * The stream of one answer, in the AI SDK's format, on `fetch`. A client of the SDK ignores the ids; this one resumes after the last of them
 * when a connection breaks, on any node.
 */
export class AnswerStream {
  lastEventId;
  chunks = 0;
  resumed = 0;
  /** Whether its end has arrived. */
  hasEnded = false;
  #connection = new AbortController();

  /** @param handlers `path`, `nodes()`, the addresses to try in turn, and `state(name, node)` */
  constructor(handlers, lastEventId = '') {
    this.handlers = handlers;
    this.lastEventId = lastEventId;
  }

  /** Breaks the connection, as a network does. The stream is resumed. */
  break() {
    this.#connection.abort();
  }

  /**
   * The chunks, until the stream has ended, or nothing is kept of it.
   *
   * @param first the response to begin with, if there is one
   */
  async *read(signal, first) {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const nodes = this.handlers.nodes();
      const node = nodes[attempt % nodes.length];
      try {
        const response = (attempt === 0 && first) || (await this.#resume(node, signal));
        if (response.status === 204) return;
        if (response.ok) yield* this.#chunksOf(response, signal);
        else if (response.status < 500) throw new Refusal(`${response.status} ${response.statusText}`);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        // Without a connection, the client retries.
      }
      if (this.hasEnded || signal.aborted) return;
      this.handlers.state('reconnecting', nodes[(attempt + 1) % nodes.length]);
      await pause(signal);
    }
  }

  /** A new connection, which also ends by `break()`. */
  connection(signal) {
    this.#connection = new AbortController();
    return AbortSignal.any([signal, this.#connection.signal]);
  }

  async #resume(node, signal) {
    const headers = this.lastEventId ? { 'Last-Event-ID': this.lastEventId } : {};
    const options = { headers, signal: this.connection(signal), cache: 'no-store' };
    const response = await fetch(node + this.handlers.path, options);
    if (response.ok) this.handlers.state('streaming', node);
    return response;
  }

  async *#chunksOf(response, signal) {
    if (this.chunks > 0) this.resumed++;
    for await (const { data, id } of eventsOf(response, new EventParser(this.lastEventId))) {
      if (signal.aborted) return;
      this.lastEventId = id;
      this.hasEnded = data === DONE;
      if (this.hasEnded) return;
      this.chunks++;
      yield JSON.parse(data);
    }
  }
}

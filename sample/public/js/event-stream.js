import { EventParser } from './event-parser.js';

const RETRY_MS = 3_000;

/** The events of a response, until it ends. */
export async function* eventsOf(response, parser) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** The newest position of the channels: a new connection begins with it. */
export async function newestPosition(url, signal) {
  const response = await fetch(url, { signal, cache: 'no-store' });
  if (!response.ok) return undefined;
  for await (const { type, id } of eventsOf(response, new EventParser())) {
    return type === 'sse.open' ? id : undefined;
  }
}

/**
 * A client on `fetch`, which does what an `EventSource` does. An `EventSource` hides events without a listener for their type, and the
 * status of a refusal; this page shows both.
 */
export class EventStream {
  lastEventId = '';
  #retryMs = RETRY_MS;
  #connection = new AbortController();

  /** @param handlers `state(name, detail)`, `event(event)`, and `resume(signal)`, which is awaited before a request with a position */
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
  }

  open() {
    this.#connection.abort();
    this.#connection = new AbortController();
    void this.#connect(this.#connection.signal);
  }

  close() {
    this.#connection.abort();
    this.handlers.state('closed');
  }

  async #connect(signal) {
    this.handlers.state('connecting');
    try {
      if (await this.#read(signal)) return;
    } catch {
      // Without a connection, the client retries.
    }
    if (signal.aborted) return;
    this.handlers.state('waiting', `${Math.ceil(this.#retryMs / 1_000)} s`);
    const timer = setTimeout(() => this.#connect(signal), this.#retryMs);
    signal.addEventListener('abort', () => clearTimeout(timer));
  }

  /** @returns whether the server has refused the client for good */
  async #read(signal) {
    if (this.lastEventId) await this.handlers.resume?.(signal);
    const headers = this.lastEventId ? { 'Last-Event-ID': this.lastEventId } : {};
    const response = await fetch(this.url, { headers, signal, cache: 'no-store' });
    if (response.status >= 500) return false;
    if (response.status !== 200) {
      this.handlers.state('refused', `${response.status} ${response.statusText}`);
      return true;
    }
    this.handlers.state('open');
    const parser = new EventParser(this.lastEventId);
    for await (const event of eventsOf(response, parser)) {
      this.lastEventId = event.id;
      this.#retryMs = parser.retryMs ?? this.#retryMs;
      if (!signal.aborted) this.handlers.event(event);
    }
    this.#retryMs = parser.retryMs ?? this.#retryMs;
    return false;
  }
}

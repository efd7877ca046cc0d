import { connect } from 'nestjs-sse-channels/client';

/** With `?native` in its address, the page uses the browser's `EventSource`. */
const IS_NATIVE = new URLSearchParams(location.search).has('native');
/** The types for which an `EventSource` has listeners here. It hides events of other types. */
const TYPES = ['message', 'cool', 'metrics', 'sse.open', 'sse.reset', 'sse.end'];

/** The newest position of the channels: a new connection begins with it. Undefined if none can be made. */
export const newestPosition = (url) =>
  new Promise((resolve) => {
    const source = connect(url);
    source.once('sse.open', (_, { id }) => (resolve(id), source.close()));
    source.on('sse.state', (state) => state !== 'open' && (resolve(), source.close()));
  });

/** A connection of a panel, with all events in one place. */
export class EventStream {
  lastEventId = '';
  #source;

  /** @param handlers `state(name, detail)`, `event(event)`, and `resume()`, which is awaited before a request with a position */
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
  }

  open() {
    this.#source?.close();
    this.handlers.state('connecting');
    if (IS_NATIVE) this.#openNative();
    else void this.#open();
  }

  close() {
    this.#source?.close();
    this.#source = undefined;
    this.handlers.state('closed');
  }

  async #open() {
    const { handlers, lastEventId } = this;
    const source = (this.#source = connect(this.url, {
      lastEventId,
      // Called before each request.
      headers: async () => {
        if (source.lastEventId) await handlers.resume?.();
        return {};
      },
    }));
    source.on('sse.state', (state) => source === this.#source && this.#show(state, source.error));
    try {
      for await (const { type, text, id } of source) {
        if (source === this.#source) this.#receive(type, text, id);
      }
    } catch {
      // It has failed, as its state tells.
    }
  }

  #show(state, error) {
    if (state === 'failed') this.handlers.state('refused', error.status ?? error.message);
    else if (state === 'waiting') this.handlers.state(state, error.message);
    else this.handlers.state(state === 'ended' ? 'closed' : state);
  }

  #openNative() {
    const url = new URL(this.url, location);
    if (this.lastEventId) url.searchParams.set('lastEventId', this.lastEventId);
    const source = (this.#source = new EventSource(url));
    source.addEventListener('open', () => this.handlers.state('open'));
    // An `EventSource` does not tell why.
    source.addEventListener('error', () => {
      if (source === this.#source)
        this.handlers.state(source.readyState === EventSource.CLOSED ? 'refused' : 'waiting');
    });
    for (const type of TYPES) {
      source.addEventListener(type, ({ data, lastEventId }) => this.#receive(type, data, lastEventId));
    }
  }

  #receive(type, data, id) {
    this.lastEventId = id;
    this.handlers.event({ type, data, id });
  }
}

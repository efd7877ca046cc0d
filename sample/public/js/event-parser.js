/**
 * Parses `text/event-stream`, in pieces of any size.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventParser {
  /** The reconnection time that the server has set, in ms. */
  retryMs;
  #rest = '';
  #type = '';
  #data = [];
  #id;

  constructor(lastEventId = '') {
    this.#id = lastEventId;
  }

  /** @returns the events that this text completes, as `{ type, data, id }` */
  push(text) {
    // A CR at the end may be the first half of a CRLF.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.flatMap((line) => (line === '' ? this.#dispatch() : this.#field(line)));
  }

  #field(line) {
    const [name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line).slice(1);
    this.#set(name, value ?? '');
    return [];
  }

  #set(name, value) {
    if (name === 'event') this.#type = value;
    if (name === 'data') this.#data.push(value);
    if (name === 'id' && !value.includes('\0')) this.#id = value;
    if (name === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch() {
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), id: this.#id };
    const isEmpty = this.#data.length === 0;
    this.#type = '';
    this.#data = [];
    return isEmpty ? [] : [event];
  }
}

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

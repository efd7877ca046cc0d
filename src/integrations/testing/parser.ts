/** An event as a client receives it, as text. */
export interface ParsedEvent {
  /** The last event id of the connection when the event was dispatched; '' if no event had one. */
  readonly id: string;
  /** The event's type; `message` if it names none. */
  readonly type: string;
  /** The data lines, joined by line feeds. */
  readonly data: string;
}

const LINE_END = /[\r\n]/g;

/**
 * Parses one response of `text/event-stream` as its bytes arrive. It follows the WHATWG standard exactly, and
 * needs `TextDecoder` only, so it runs in Node and in browsers.
 *
 * An event is returned with the chunk that completes it. An incomplete event at the end of the response is dropped.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamParser {
  // It removes a byte order mark, and keeps incomplete characters until the next chunk.
  readonly #decoder = new TextDecoder();
  #line = '';
  /** Whether a line feed at the beginning of the next chunk belongs to the last line end. */
  #afterReturn = false;
  #type = '';
  #data = '';
  #id = '';
  #lastEventId = '';
  #retryMs: number | undefined;

  /** The id to reconnect with: that of the last complete block. It persists from event to event. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** The last reconnection time of the server, in ms; undefined if it sent none. */
  get retryMs(): number | undefined {
    return this.#retryMs;
  }

  /** Parses the next bytes of the response, and returns the events that they complete. */
  feed(chunk: Uint8Array): ParsedEvent[] {
    const text = this.#decoder.decode(chunk, { stream: true });
    const events: ParsedEvent[] = [];
    let start = 0;
    for (const { 0: end, index } of text.matchAll(LINE_END)) {
      const line = this.#line + text.slice(start, index);
      start = index + 1;
      this.#line = '';
      const isRestOfEnd = end === '\n' && this.#afterReturn && line === '';
      this.#afterReturn = end === '\r';
      if (isRestOfEnd) continue;
      if (line !== '') this.#interpret(line);
      else events.push(...this.#dispatch());
    }
    this.#line += text.slice(start);
    return events;
  }

  #interpret(line: string): void {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    // A comment is a line whose field has no name; other fields are ignored, too.
    if (field === 'event') this.#type = value;
    else if (field === 'data') this.#data += `${value}\n`;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) this.#retryMs = Number(value);
  }

  /** The event of a block. A block without data is no event, but its id counts. */
  #dispatch(): ParsedEvent[] {
    const [type, data] = [this.#type, this.#data];
    this.#lastEventId = this.#id;
    this.#type = this.#data = '';
    return data === '' ? [] : [{ id: this.#id, type: type || 'message', data: data.slice(0, -1) }];
  }
}

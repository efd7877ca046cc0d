/** An event as a client receives it: text, before any of it is taken for JSON. */
export interface ParsedEvent {
  /** The last event id of the connection when the event was dispatched; '' where no event had one. */
  readonly id: string;
  /** The event's type; `message` where it names none. */
  readonly type: string;
  /** The data lines, joined by line feeds. */
  readonly data: string;
}

const LINE_END = /[\r\n]/g;

/**
 * Parses one response of `text/event-stream` as its bytes arrive. It follows the WHATWG standard to the letter, and
 * uses nothing but `TextDecoder`, so it runs in Node and in browsers alike.
 *
 * An event is returned with the chunk that completes it. An incomplete event at the end of the response is none.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamParser {
  // It removes a byte order mark, and keeps the bytes of a character until all of them are there.
  readonly #decoder = new TextDecoder();
  #line = '';
  /** Whether a line feed that comes next belongs to the line end before it. */
  #afterReturn = false;
  #type = '';
  #data = '';
  #id = '';
  #lastEventId = '';
  #retryMs: number | undefined;

  /** The id to reconnect with: of the last complete block. It persists from event to event. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** The reconnection time that the server asked for last, in ms; undefined where it asked for none. */
  get retryMs(): number | undefined {
    return this.#retryMs;
  }

  /** Takes the next bytes of the response, and returns the events that they complete. */
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

  /** The event of the block that an empty line ends; a block without data is none, and its id counts all the same. */
  #dispatch(): ParsedEvent[] {
    const [type, data] = [this.#type, this.#data];
    this.#lastEventId = this.#id;
    this.#type = this.#data = '';
    return data === '' ? [] : [{ id: this.#id, type: type || 'message', data: data.slice(0, -1) }];
  }
}

/** An event as a client receives it, as text. */
export interface ParsedEvent {
  /** The last event id of the connection when the event was dispatched; '' if no event had one. */
  readonly id: string;
  /** The event's type; `message` if it names none. */
  readonly type: string;
  /** The data lines, joined by line feeds. */
  readonly data: string;
}

/** What is known about a response. */
export interface EventStreamParser {
  /** The id to reconnect with: that of the last complete block. It persists from block to block. */
  lastEventId: string;
  /** The last reconnection time of the server in ms, if it sent one. */
  retryMs?: number;
  /** The interval of the heartbeats in ms, if the server has named it: by a comment `heartbeat <ms>`. */
  heartbeatMs?: number;
  /** Parses the next bytes of the response, and returns the events that they complete. */
  readonly feed: (chunk: Uint8Array) => ParsedEvent[];
}

const LINE_END = /[\r\n]/g;
/** One space after the colon does not belong to the value. */
const FIELD = /^([^:]*):? ?([^]*)/;

/**
 * Parses one response of `text/event-stream` as its bytes arrive. It follows the WHATWG standard exactly, and
 * needs `TextDecoder` only, so it runs in Node and in browsers.
 *
 * An event is returned with the chunk that completes it. An incomplete event at the end of the response is dropped.
 *
 * @param lastEventId of the previous response: it persists, as in browsers
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export function createParser(lastEventId = ''): EventStreamParser {
  // It removes a byte order mark, and keeps incomplete characters until the next chunk.
  const decoder = new TextDecoder();
  let line = '';
  /** Whether a line feed at the beginning of the next chunk belongs to the last line end. */
  let isAfterReturn = false;
  let [type, data, id] = ['', '', lastEventId];

  const interpret = () => {
    const [, field, value = ''] = FIELD.exec(line)!;
    // A comment is a line whose field has no name; other fields are ignored, too.
    if (field === 'event') type = value;
    else if (field === 'data') data += `${value}\n`;
    else if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) parser.retryMs = Number(value);
    else if (field === '' && /^heartbeat [0-9]+$/.test(value)) parser.heartbeatMs = Number(value.slice(10));
  };

  const parser: EventStreamParser = {
    lastEventId,
    feed: (chunk) => {
      const text = decoder.decode(chunk, { stream: true });
      const events: ParsedEvent[] = [];
      let start = 0;
      for (const { 0: end, index } of text.matchAll(LINE_END)) {
        line += text.slice(start, index);
        start = index + 1;
        const isRestOfEnd = end === '\n' && isAfterReturn && line === '';
        isAfterReturn = end === '\r';
        if (isRestOfEnd) continue;
        if (line !== '') {
          interpret();
        } else {
          // A block without data is no event, but its id counts.
          parser.lastEventId = id;
          if (data !== '') events.push({ id, type: type || 'message', data: data.slice(0, -1) });
          type = data = '';
        }
        line = '';
      }
      line += text.slice(start);
      return events;
    },
  };
  return parser;
}

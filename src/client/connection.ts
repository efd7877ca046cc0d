import { createParser, type EventStreamParser, type ParsedEvent } from './parser.js';
import { refusal } from './retries.js';

/** The interval of the heartbeats of a server that names none, in ms. */
const HEARTBEAT_MS = 15_000;
/** A connection is lost after so many intervals without a byte. */
const MISSED = 2.5;

export const isEventStream = ({ status, headers }: Response): boolean =>
  status === 200 && /^text\/event-stream *(;|$)/i.test(`${headers.get('content-type')}`);

/** What a connection reports to its source. */
export interface Receiver {
  /** @returns the last event id, which persists from earlier connections */
  onOpen: () => string;
  onEvent: (event: ParsedEvent) => void;
  /** After each chunk. @returns when to read on */
  onRead: (parser: EventStreamParser) => Promise<unknown>;
}

/** One request and its response, until the signal of the attempt ends it. */
export function receive(
  request: () => Promise<Response>,
  { onOpen, onEvent, onRead }: Receiver,
  attempt: AbortController,
) {
  const { signal } = attempt;
  let heartbeatMs = HEARTBEAT_MS;
  let seen = Date.now();

  const run = async () => {
    const response = await request();
    signal.throwIfAborted();
    if (response.status === 204) return;
    if (!isEventStream(response)) throw refusal(response);
    const parser = createParser(onOpen());
    const sink = new WritableStream<Uint8Array>({
      async write(chunk) {
        // Nothing is read meanwhile.
        seen = NaN;
        for (const event of parser.feed(chunk)) {
          // A listener may have closed the source.
          signal.throwIfAborted();
          onEvent(event);
        }
        signal.throwIfAborted();
        heartbeatMs = parser.heartbeatMs || heartbeatMs;
        await onRead(parser);
        seen = Date.now();
      },
    });
    // Cancels the response, too, where the application's `fetch` ignores the signal.
    await response.body!.pipeTo(sink, { signal });
    throw new Error('The response ended');
  };

  return {
    /** Resolves when the server has nothing to deliver. Rejects for any other end. */
    done: run(),
    /** Ends the connection if nothing has arrived for too long. */
    check: () => {
      // Only the clock shows how long a computer slept. A clock that was set back must not hide silence.
      if (Math.abs(Date.now() - seen) > MISSED * heartbeatMs) attempt.abort(new Error('Nothing arrived'));
    },
  };
}

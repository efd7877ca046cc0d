import { type ClientRequest, get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { eventually, until } from './until.js';

/** Clients that are closed after the test. */
const open = new Set<SseClient>();

/** A client that records everything it receives: response headers, bytes and events. */
export class SseClient {
  readonly events: EventSourceMessage[] = [];
  readonly comments: string[] = [];
  text = '';
  ended = false;
  #taken = 0;

  constructor(
    private readonly request: ClientRequest,
    readonly response: IncomingMessage,
  ) {
    const parser = createParser({
      onEvent: (event) => this.events.push(event),
      onComment: (comment) => this.comments.push(comment),
    });
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      this.text += chunk;
      parser.feed(chunk);
    });
    response.on('error', () => undefined);
    response.on('close', () => (this.ended = true));
    open.add(this);
  }

  get status(): number {
    return this.response.statusCode!;
  }

  get headers(): IncomingHttpHeaders {
    return this.response.headers;
  }

  /** The next event that has not been taken yet. */
  async next(): Promise<EventSourceMessage> {
    await until(() => this.events.length > this.#taken || this.ended);
    const event = this.events[this.#taken++];
    if (!event) throw new Error('The response ended without another event');
    return event;
  }

  async take(count: number): Promise<EventSourceMessage[]> {
    const events: EventSourceMessage[] = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }

  /** The whole body of a response that is not an event stream. */
  async body(): Promise<string> {
    await until(() => this.ended);
    return this.text;
  }

  close(): void {
    this.request.destroy();
    open.delete(this);
  }
}

/** Resolves once the response headers have arrived. */
export function connect(url: string, headers: Record<string, string> = {}): Promise<SseClient> {
  return eventually(
    `The head of ${url}`,
    new Promise((resolve, reject) => {
      const request = get(url, { headers, agent: false }, (response) =>
        resolve(new SseClient(request, response)),
      );
      request.on('error', reject);
    }),
  );
}

export function closeClients(): void {
  for (const client of open) client.close();
}

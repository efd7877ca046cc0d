import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import { createGunzip } from 'node:zlib';
import { afterEach } from '@jest/globals';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { eventually, until } from './until.js';

const clients = new Set<GzipClient>();

/** A client that accepts gzip, and records the bytes on the wire and the events in them. */
export class GzipClient {
  readonly events: EventSourceMessage[] = [];
  text = '';
  /** `complete` only if a strict reader accepts the trailer. */
  end: 'complete' | 'broken' | undefined;
  readonly #wire: Buffer[] = [];
  #taken = 0;

  constructor(
    private readonly request: ClientRequest,
    readonly response: IncomingMessage,
  ) {
    const parser = createParser({ onEvent: (event) => this.events.push(event) });
    const gunzip = createGunzip();
    gunzip.setEncoding('utf8');
    gunzip.on('data', (chunk: string) => {
      this.text += chunk;
      parser.feed(chunk);
    });
    gunzip.on('end', () => (this.end = 'complete'));
    gunzip.on('error', () => (this.end = 'broken'));
    response.on('data', (chunk: Buffer) => this.#wire.push(chunk));
    response.on('error', () => (this.end = 'broken'));
    response.pipe(gunzip);
    clients.add(this);
  }

  /** The body, without its chunks. */
  get wire(): Buffer {
    return Buffer.concat(this.#wire);
  }

  async next(): Promise<EventSourceMessage> {
    await until(() => this.events.length > this.#taken || this.end);
    const event = this.events[this.#taken++];
    if (!event) throw new Error('The response ended without another event');
    return event;
  }

  close(): void {
    this.request.destroy();
    clients.delete(this);
  }
}

/** Resolves once the response headers have arrived. Certificates are not checked. */
export function connectGzip(url: string, headers: Record<string, string> = {}): Promise<GzipClient> {
  return eventually(
    `The headers of ${url}`,
    new Promise((resolve, reject) => {
      const options = {
        headers: { 'accept-encoding': 'gzip', ...headers },
        agent: false,
        rejectUnauthorized: false,
      };
      const open = url.startsWith('https') ? getSecurely : get;
      const request = open(url, options, (response) => resolve(new GzipClient(request, response)));
      request.on('error', reject);
    }),
  );
}

afterEach(() => {
  for (const client of clients) client.close();
});

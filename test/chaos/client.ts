import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import type { Random } from './random.js';

/** What a client got, and when it was told to begin elsewhere. */
export interface Delivery {
  readonly id: string;
  readonly type: string | undefined;
  /** Without the dots that make events large. */
  readonly data: string;
  /** The fault that it came in. */
  readonly during: string;
}

/** An `EventSource` of the rig: it comes back to any node, after any byte, with the last id it has read completely. */
export class HoppingClient {
  readonly deliveries: Delivery[] = [];
  lastEventId: string | undefined;
  /** The fault of each. */
  readonly reconnects: string[] = [];
  /** What a node answered that is no stream. */
  readonly refusals: string[] = [];
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  /** Leads to the next connection: there is none now. */
  #return: NodeJS.Timeout | undefined;
  /** Ends the connection of now. */
  #hop: NodeJS.Timeout | undefined;
  #hops = true;
  #closed = false;

  constructor(
    readonly channel: string,
    private readonly ports: () => readonly number[],
    private readonly random: Random,
    private readonly during: () => string,
  ) {
    this.#connect();
  }

  /** Stays on its next connection. */
  settle(): void {
    this.#hops = false;
  }

  /** Reads nothing more, on the connection of now. */
  stall(): void {
    clearTimeout(this.#hop);
    this.#response?.pause();
  }

  resume(): void {
    this.#response?.resume();
  }

  /** Comes back after `close()`, with the last id it has read. */
  open(): void {
    this.#closed = false;
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#return);
    clearTimeout(this.#hop);
    this.#request?.destroy();
  }

  #connect(): void {
    if (this.#closed) return;
    const headers = this.lastEventId === undefined ? {} : { 'last-event-id': this.lastEventId };
    const port = this.random.of(this.ports());
    const request = get({ host: '127.0.0.1', port, path: `/events/${this.channel}`, headers, agent: false });
    this.#request = request;
    let done = false;
    const again = () => {
      if (done) return;
      done = true;
      request.destroy();
      if (this.#closed) return;
      this.reconnects.push(this.during());
      clearTimeout(this.#hop);
      this.#return = setTimeout(() => this.#connect(), this.random.between(5, 100));
    };
    let bytes = this.#hops && this.random.next() < 0.5 ? this.random.below(20_000) : Infinity;
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        this.lastEventId = id;
        const delivery = { id: id!, type: event, data: data.replace(/\.+$/, ''), during: this.during() };
        this.deliveries.push(delivery);
      },
    });
    request.on('response', (response) => {
      this.#response = response;
      if (response.statusCode !== 200) this.refusals.push(`${response.statusCode}`);
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        if (!this.#hops) bytes = Infinity;
        // Cut in the middle of whatever it is.
        parser.feed(chunk.slice(0, bytes));
        bytes -= chunk.length;
        if (bytes <= 0) again();
      });
      response.on('error', () => undefined);
      response.on('close', again);
    });
    request.on('error', again);
    if (this.#hops) this.#hop = setTimeout(again, this.random.between(100, 3_000));
  }
}

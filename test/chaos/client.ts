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

/** What clients get, noted once for all that get it in the same fault: so millions of deliveries take up little. */
export class Sightings {
  /** Told of every event that reaches a client, with the time since it was published. */
  onArrival: (latencyMs: number) => void = () => undefined;
  #fault = 'none';
  readonly #seen = new Map<string, { delivery: Delivery; publishedAt: number }>();

  get fault(): string {
    return this.#fault;
  }

  set fault(name: string) {
    this.#fault = name;
    this.#seen.clear();
  }

  note(id: string, type: string | undefined, text: string): Delivery {
    const data = text.replace(/\.+$/, '');
    const key = `${id} ${type} ${data}`;
    let sighting = this.#seen.get(key);
    if (!sighting) {
      const publishedAt = Number(data.split(' ')[3]);
      sighting = { delivery: { id, type, data, during: this.#fault }, publishedAt };
      this.#seen.set(key, sighting);
    }
    if (type === undefined) this.onArrival(performance.now() - sighting.publishedAt);
    return sighting.delivery;
  }
}

interface ClientOptions {
  readonly channel: string;
  readonly ports: () => readonly number[];
  readonly random: Random;
  readonly sightings: Sightings;
  /** For how long at least, and at most, it stays on a connection. */
  readonly stayMs?: readonly [min: number, max: number];
  readonly lastEventId?: string;
  readonly path?: string;
}

/** An `EventSource` of the rig: it comes back to any node, after any byte, with the last id it has read completely. */
export class HoppingClient {
  readonly channel: string;
  readonly deliveries: Delivery[] = [];
  lastEventId: string | undefined;
  /** How many deliveries came before each connection. */
  readonly resumedAt = new Set<number>();
  /** Of the node that it is on. */
  port: number | undefined;
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

  constructor(private readonly options: ClientOptions) {
    this.channel = options.channel;
    this.lastEventId = options.lastEventId;
    this.#connect();
  }

  /** Stays where it is. */
  settle(): void {
    this.#hops = false;
    clearTimeout(this.#hop);
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
    this.resumedAt.add(this.deliveries.length);
    const { channel, ports, random, sightings, stayMs = [100, 3_000] } = this.options;
    const { path = `/events/${channel}` } = this.options;
    const headers = this.lastEventId === undefined ? {} : { 'last-event-id': this.lastEventId };
    this.port = random.of(ports());
    const request = get({
      host: '127.0.0.1',
      port: this.port,
      path,
      headers,
      agent: false,
    });
    this.#request = request;
    let done = false;
    const soonMs = random.between(5, 100);
    // A connection that brings nothing is not asked for again at once.
    let waitMs = soonMs + 200;
    const again = () => {
      if (done) return;
      done = true;
      request.destroy();
      if (this.#closed) return;
      this.reconnects.push(sightings.fault);
      clearTimeout(this.#hop);
      this.#return = setTimeout(() => this.#connect(), waitMs);
    };
    let bytes = this.#hops && random.next() < 0.5 ? random.below(20_000) : Infinity;
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        waitMs = soonMs;
        this.lastEventId = id;
        this.deliveries.push(sightings.note(id!, event, data));
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
    if (this.#hops) this.#hop = setTimeout(again, random.between(...stayMs));
  }
}

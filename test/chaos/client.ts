import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import type { Random } from './random.js';

/** An event that a client received, `sse.open` and `sse.reset` included. */
export interface Delivery {
  readonly id: string;
  readonly type: string | undefined;
  /** Without the padding of large events. */
  readonly data: string;
  /** The fault during which it arrived. */
  readonly during: string;
}

/** The received events. Clients that get the same event during the same fault share one record, so millions of deliveries fit into memory. */
export class Sightings {
  /** Called for every event that a client receives, with the time since its publication. */
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
  /** Bounds of the time that the client stays on a connection. */
  readonly stayMs?: readonly [min: number, max: number];
  readonly lastEventId?: string;
  readonly path?: string;
}

/** An `EventSource` of the rig. It disconnects after any byte, and reconnects to any node with the id of the last complete event. */
export class HoppingClient {
  readonly channel: string;
  readonly deliveries: Delivery[] = [];
  lastEventId: string | undefined;
  /** The number of deliveries before each connection. */
  readonly resumedAt = new Set<number>();
  /** The port of the node that it is connected to. */
  port: number | undefined;
  /** The fault during each reconnection. */
  readonly reconnects: string[] = [];
  /** Whether a response had status 204, after which an `EventSource` never reconnects. */
  isOver = false;
  /** Statuses of responses other than 200 and 204. */
  readonly refusals: string[] = [];
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  /** Opens the next connection. Set while there is none. */
  #return: NodeJS.Timeout | undefined;
  /** Ends the current connection. */
  #hop: NodeJS.Timeout | undefined;
  #hops = true;
  #closed = false;

  constructor(private readonly options: ClientOptions) {
    this.channel = options.channel;
    this.lastEventId = options.lastEventId;
    this.#connect();
  }

  /** Keeps the current connection. */
  settle(): void {
    this.#hops = false;
    clearTimeout(this.#hop);
  }

  /** Stops reading from the current connection. */
  stall(): void {
    clearTimeout(this.#hop);
    this.#response?.pause();
  }

  resume(): void {
    this.#response?.resume();
  }

  /** Reconnects after `close()`, with the last id that was read. */
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
    // After a connection without events, wait longer before the next one.
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
        // Without an id, the header is left out.
        this.lastEventId = id === '' ? undefined : id;
        this.deliveries.push(sightings.note(id!, event, data));
      },
    });
    request.on('response', (response) => {
      this.#response = response;
      if (response.statusCode === 204) {
        this.isOver = true;
        return this.close();
      }
      if (response.statusCode !== 200) this.refusals.push(`${response.statusCode}`);
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        if (!this.#hops) bytes = Infinity;
        // Disconnect at any byte.
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

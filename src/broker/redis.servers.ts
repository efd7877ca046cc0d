import type { Redis } from 'ioredis';
import { RedisConnection, type ServerSource } from './redis.connection.js';

/** Where the commands of a channel go. */
export interface Place {
  readonly connection: RedisConnection;
  /** The channel is on its way to this server, which serves it already to who asks in particular (ASKING). */
  readonly asking?: boolean;
}

/** A server as something that is subscribed to. */
export interface Home {
  readonly name: string;
  readonly source: ServerSource;
}

/** What the owner of servers is told. */
export interface ServersListener {
  /** There is a connection more; it is not open yet. */
  onConnection(connection: RedisConnection): void;
  /** A server has come back, or gone, or channels have moved. */
  onChange(): void;
}

/** The servers that channels are on: one, or those of a cluster. */
export interface RedisServers {
  /** Whether every channel is in reach. */
  readonly ready: boolean;
  /** Whether Pub/Sub is by slots (SPUBLISH, SSUBSCRIBE). */
  readonly sharded: boolean;
  /** Publications of one lane keep the order of their calls. */
  laneOf(channel: string): string;
  /** @param refusal what was answered to the last attempt there, which may name another place */
  placeOf(channel: string, refusal?: Error): Place;
  /** Learns from an answer that a channel is not where it was looked for, on that connection. */
  learn(refusal: Error, from?: RedisConnection): void;
  /** Where a channel is received, once that is known. */
  homeOf(channel: string): Home | undefined;
  /** What is published does not arrive there: there may be a better place. */
  leave(home: string): void;
  /** Sends a command that may be lost, or be executed twice, such as a read. @throws SseError `SSE_UNAVAILABLE` */
  run<T>(channel: string, command: (place: Place) => Promise<T>): Promise<T>;
  /** The same on each server, once all are there; `waitMs`: for how long they are waited for. @throws SseError `SSE_UNAVAILABLE` */
  runOnAll<T>(command: (client: Redis) => Promise<T>, waitMs: number): Promise<T[]>;
  close(): Promise<void>;
}

/** One server, or the master that sentinels name. */
export class RedisServer implements RedisServers {
  readonly sharded = false;
  readonly #connection: RedisConnection;
  readonly #place: Place;
  readonly #home: Home;

  constructor(source: ServerSource, listener: ServersListener) {
    this.#connection = new RedisConnection(source, 'commands', { socketTimeout: 3_000 });
    this.#place = { connection: this.#connection };
    this.#home = { name: '', source };
    listener.onConnection(this.#connection);
    this.#connection.client.on('ready', () => listener.onChange());
  }

  get ready(): boolean {
    return this.#connection.ready;
  }

  laneOf(): string {
    return '';
  }

  placeOf(): Place {
    return this.#place;
  }

  learn(): void {
    // There is nowhere else to go.
  }

  homeOf(): Home {
    return this.#home;
  }

  leave(): void {
    // There is no other.
  }

  run<T>(_channel: string, command: (place: Place) => Promise<T>): Promise<T> {
    return this.#connection.run(() => command(this.#place));
  }

  async runOnAll<T>(command: (client: Redis) => Promise<T>, waitMs: number): Promise<T[]> {
    return [await this.#connection.run(command, waitMs)];
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

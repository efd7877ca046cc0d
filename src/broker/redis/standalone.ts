import type { Redis } from 'ioredis';
import { RedisConnection, type ServerSource } from './connection.js';
import type { RedisTopology, Route, Server, TopologyListener } from './topology.js';

/** One Redis server, or the master that Sentinels name. */
export class StandaloneRedis implements RedisTopology {
  readonly sharded = false;
  readonly #connection: RedisConnection;
  readonly #route: Route;
  readonly #server: Server;

  constructor(source: ServerSource, listener: TopologyListener) {
    this.#connection = new RedisConnection(source, 'commands', 3_000);
    this.#route = { connection: this.#connection };
    this.#server = { name: '', source };
    listener.onConnection(this.#connection);
    this.#connection.client.on('ready', () => listener.onChange());
  }

  get ready(): boolean {
    return this.#connection.ready;
  }

  queueOf(): string {
    return '';
  }

  routeOf(): Route {
    return this.#route;
  }

  learn(): void {
    // There is no other server.
  }

  subscriptionServerOf(): Server {
    return this.#server;
  }

  leave(): void {
    // There is no other server.
  }

  run<T>(_channel: string, command: (route: Route) => Promise<T>): Promise<T> {
    return this.#connection.run(() => command(this.#route));
  }

  async runOnAll<T>(command: (client: Redis) => Promise<T>, waitMs: number): Promise<T[]> {
    return [await this.#connection.run(command, waitMs)];
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

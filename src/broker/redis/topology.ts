import type { Redis } from 'ioredis';
import type { RedisConnection, ServerSource } from './connection.js';

/** Where the commands of a channel go. */
export interface Route {
  readonly connection: RedisConnection;
  /** The channel's slot is migrating to this server, which serves it only after ASKING. */
  readonly asking?: boolean;
}

/** A server to subscribe on. */
export interface Server {
  readonly name: string;
  readonly source: ServerSource;
}

/** The owner of a topology. */
export interface TopologyListener {
  /** There is a new connection; it is not open yet. */
  onConnection(connection: RedisConnection): void;
  /** A server has become reachable or unreachable, or slots have moved. */
  onChange(): void;
}

/** The Redis servers that hold the channels: one, or the masters of a cluster. */
export interface RedisTopology {
  /** Whether the server of every channel is reachable. */
  readonly ready: boolean;
  /** Whether Pub/Sub is sharded (SPUBLISH, SSUBSCRIBE). */
  readonly sharded: boolean;
  /** The publication queue of a channel. Publications in one queue keep the order of their calls. */
  queueOf(channel: string): string;
  /** @param refusal the answer to the last attempt, which may name another server */
  routeOf(channel: string, refusal?: Error): Route;
  /** Takes note of an answer which says that a channel is on another server. */
  learn(refusal: Error, from?: RedisConnection): void;
  /** The server to subscribe to a channel on; undefined while it is not known. */
  subscriptionServerOf(channel: string): Server | undefined;
  /** Messages do not arrive from this server: chooses another one, if there is one. */
  leave(server: string): void;
  /** Sends a command that may get lost, or be executed twice, such as a read. @throws SseError `SSE_UNAVAILABLE` */
  run<T>(channel: string, command: (route: Route) => Promise<T>): Promise<T>;
  /** The same on each server, once all are reachable. @throws SseError `SSE_UNAVAILABLE` after `waitMs` */
  runOnAll<T>(command: (client: Redis) => Promise<T>, waitMs: number): Promise<T[]>;
  close(): Promise<void>;
}

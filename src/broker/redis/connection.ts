import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { SseError } from '../../common/sse.errors.js';
import { isRedisClient } from '../../options/redis-source.js';
import type { RedisClient } from '../../options/sse.options.js';
import { watchReplies } from './reply-watch.js';

/** Where a connection leads. */
export type ServerSource = string | RedisOptions | RedisClient;

/** How long a command waits for a connection by default, in ms. */
const WAIT_MS = 2_000;
/** How often the server has to answer a PING, in ms. */
const PING_MS = 2_000;
/** How long a server may take to answer what is in flight when the connection is closed. */
const CLOSE_MS = 1_000;
/** How many commands may wait at once: an outage must not fill the memory (256 MiB, with the largest events). */
const MAX_WAITING = 1_000;

/**
 * One connection to Redis, which reconnects for ever.
 *
 * By default ioredis sends commands again that were in flight when a connection broke, queues without bound during an outage, and
 * does not notice a server that hangs. Here a command is sent at most once, and ends within 5 s with an answer or an error.
 */
export class RedisConnection {
  readonly client: Redis;
  /** Scripts of the module that the server knows by their hashes. */
  readonly knownScripts = new Set<unknown>();
  readonly #waiting = new Set<{ send: () => void; fail: (error: SseError) => void }>();
  /** The first error of the current outage. */
  #firstError: Error | undefined;
  readonly #ping: NodeJS.Timeout;
  readonly #watch: NodeJS.Timeout;
  #again: NodeJS.Timeout | undefined;
  #leaving = false;
  #leftAt = -Infinity;
  #closed = false;

  /** @param replyMs how long the server may send nothing while a reply is due, in ms */
  constructor(source: ServerSource, role: string, replyMs: number) {
    this.client = connect(source, {
      connectionName: `sse:${role}`,
      lazyConnect: false,
      keyPrefix: '',
      connectTimeout: 4_000,
      disconnectTimeout: 300,
      retryStrategy: retryMs,
      // A demoted master refuses writes: reconnect (1), without sending the command again (2 would).
      reconnectOnError: (error) => (/(^|-)READONLY\b/.test(error.message) && this.#leave() ? 1 : false),
      // With Sentinel: leaves a hung master as soon as another one has taken over, and a hung sentinel.
      failoverDetector: true,
      sentinelCommandTimeout: 2_000,
      sentinelRetryStrategy: retryMs,
      enableReadyCheck: true,
      enableOfflineQueue: false,
      enableAutoPipelining: false,
      autoResubscribe: false,
      // Commands in flight fail at once when the connection breaks, and are not sent again.
      maxRetriesPerRequest: 0,
      socketTimeout: undefined,
    });
    // A hung server closes no connection. It is noticed while a reply is due, so a PING makes one due.
    this.#ping = setInterval(() => this.ready && this.client.ping().catch(() => undefined), PING_MS).unref();
    this.#watch = watchReplies(this.client, replyMs);
    // Without a listener ioredis prints errors to the console.
    this.client.on('error', (error: Error) => {
      // Later errors are consequences of the first one.
      this.#firstError ??= error;
      // ioredis would use database 0 if it cannot select the given one.
      if (error.message.includes('DB index') && !this.ready) this.client.disconnect(true);
    });
    this.client.on('close', () => this.knownScripts.clear());
    // ioredis stops reconnecting after a `disconnect()` during the search for a server.
    this.client.on('end', () => {
      if (this.#closed) return;
      this.#again = setTimeout(() => this.client.connect().catch(() => undefined), retryMs(1));
    });
    this.client.on('ready', () => {
      this.#leaving = false;
      this.#firstError = undefined;
      for (const command of this.#waiting) command.send();
    });
  }

  get ready(): boolean {
    // A command that is sent while it reconnects would fail.
    return this.client.status === 'ready' && !this.#leaving;
  }

  /** Whether it was closed for good. */
  get closed(): boolean {
    return this.#closed;
  }

  /** `host:port` as configured. */
  get address(): string {
    const { host, port } = this.client.options;
    return `${host}:${port}`;
  }

  /** Why there is no connection, as far as ioredis tells. */
  get reason(): string {
    const isOpening = this.client.status === 'connecting' || this.client.status === 'connect';
    return this.#firstError?.message ?? (isOpening ? 'it does not answer' : 'the connection was closed');
  }

  /**
   * Sends a command that may get lost, such as a read, as soon as there is a connection.
   *
   * @throws SseError `SSE_UNAVAILABLE`
   */
  run<T>(command: (client: Redis) => Promise<T>, waitMs = WAIT_MS): Promise<T> {
    if (this.ready && this.#waiting.size === 0) return this.#send(command);
    if (this.#closed || this.#waiting.size >= MAX_WAITING) return Promise.reject(this.unreachable());
    return new Promise<T>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const fail = (error: SseError) => (done(), reject(error));
      const send = () => (done(), resolve(this.#send(command)));
      const waiting = { send, fail };
      const timer = setTimeout(() => fail(this.unreachable()), waitMs);
      this.#waiting.add(waiting);
    });
  }

  /** Rejects the commands that wait for the connection, so that their callers can send them to another server. */
  turnAway(): void {
    for (const { fail } of this.#waiting) fail(this.unreachable());
  }

  /** Reconnects: the address may lead to another server by now. @param everyMs minimum time between two calls */
  reconnect(everyMs = 0): void {
    const now = performance.now();
    if (now - this.#leftAt < everyMs || !this.#leave()) return;
    this.#leftAt = now;
    this.client.disconnect(true);
  }

  /** Closes the connection. Commands in flight have a second to end. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ping);
    clearInterval(this.#watch);
    clearTimeout(this.#again);
    this.turnAway();
    if (this.ready) {
      const quit = this.client.quit().catch(() => undefined);
      await Promise.race([quit, sleep(CLOSE_MS, undefined, { ref: false })]);
    }
    this.client.disconnect();
  }

  async #send<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    try {
      return await command(this.client);
    } catch (error) {
      throw failure(error as Error);
    }
  }

  /** Whether this is the first reason to reconnect: hundreds of refusals may follow each other. */
  #leave(): boolean {
    const isFirst = !this.#leaving;
    this.#leaving = true;
    return isFirst;
  }

  /** The error for a command that could not be sent. */
  unreachable(): SseError {
    return new SseError('SSE_UNAVAILABLE', `Redis is unreachable: ${this.reason}`, {
      cause: this.#firstError,
    });
  }
}

/** Delay before a reconnection, with jitter: nodes that lost Redis together must not all reconnect together. */
const retryMs = (attempt: number): number => Math.min(50 * 2 ** (attempt - 1), 2_000) * (0.5 + Math.random());

function connect(source: ServerSource, options: RedisOptions): Redis {
  if (typeof source === 'string') {
    // The query of a URL would override options that the module needs.
    const url = new URL(source);
    for (const name of Object.keys(options)) url.searchParams.delete(name);
    return new Redis(url.href, options);
  }
  if (isRedisClient(source)) return (source as Redis).duplicate(options);
  return new Redis({ ...source, ...options });
}

function failure(cause: Error): SseError {
  const did = cause.name === 'ReplyError' ? 'refused' : 'did not answer';
  return new SseError('SSE_UNAVAILABLE', `Redis ${did}: ${cause.message}`, { cause });
}

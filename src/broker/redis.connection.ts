import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { SseError } from '../sse.errors.js';
import { isRedisClient } from '../redis-source.js';
import type { RedisClient } from '../sse.options.js';

/** What a connection is made from. */
export type ServerSource = string | RedisOptions | RedisClient;

/** How long a command waits for a connection before it is given up, in ms, if nothing else is said. */
const WAIT_MS = 2_000;
/** How often it is asked whether it is still there. */
const PING_MS = 2_000;
/** How long a server may take to answer what is in flight when the connection is closed. */
const CLOSE_MS = 1_000;
/** How many commands may wait at once: an outage must not fill the memory (256 MiB, with the largest events). */
const MAX_WAITING = 1_000;

/**
 * One connection of ours to Redis, which comes back by itself for ever.
 *
 * ioredis would resend what was in flight when a connection broke, and so publish it twice; it would queue without
 * bound while there is none; and a server that hangs without closing would never be noticed. All three are
 * switched off here, so that a command is sent at most once, and ends within 5 s in an answer or an error.
 */
export class RedisConnection {
  readonly client: Redis;
  /** Whether what is sent from now on finds our scripts there. */
  knowsScripts = false;
  readonly #waiting = new Set<{ send: () => void; fail: (error: SseError) => void }>();
  /** Of the outage that lasts. */
  #firstError: Error | undefined;
  readonly #ping: NodeJS.Timeout;
  #again: NodeJS.Timeout | undefined;
  #leaving = false;
  #leftAt = -Infinity;
  #closed = false;

  constructor(source: ServerSource, role: string, overrides: RedisOptions = {}) {
    this.client = connect(source, {
      connectionName: `sse:${role}`,
      lazyConnect: false,
      keyPrefix: '',
      connectTimeout: 4_000,
      disconnectTimeout: 300,
      retryStrategy: retryMs,
      // A demoted master refuses writes: connect anew (1), without sending the command again (2 would).
      reconnectOnError: (error) => (/(^|-)READONLY\b/.test(error.message) && this.#leave() ? 1 : false),
      // Behind Sentinel: leaves a master that hangs as soon as another one has taken over; and a sentinel that does.
      failoverDetector: true,
      sentinelCommandTimeout: 2_000,
      sentinelRetryStrategy: retryMs,
      enableReadyCheck: true,
      enableOfflineQueue: false,
      enableAutoPipelining: false,
      autoResubscribe: false,
      // What is in flight when a connection breaks fails at once, and is so not sent again either.
      maxRetriesPerRequest: 0,
      ...overrides,
    });
    // A hung server closes nothing. The time-out runs while an answer is due, and the PING sees to it that one is.
    this.#ping = setInterval(() => this.ready && this.client.ping().catch(() => undefined), PING_MS).unref();
    // Without a listener ioredis prints errors to the console.
    this.client.on('error', (error: Error) => {
      // What follows from an error says less than the error itself.
      this.#firstError ??= error;
      // ioredis goes on in database 0 where the one that was asked for cannot be selected.
      if (error.message.includes('DB index') && !this.ready) this.client.disconnect(true);
    });
    this.client.on('close', () => (this.knowsScripts = false));
    // ioredis gives up where it is told to leave while it looks for a server.
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
    // What is sent while it leaves would fail, and can wait.
    return this.client.status === 'ready' && !this.#leaving;
  }

  /** Whether it was closed for good. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Of the server, as it was asked for. */
  get address(): string {
    const { host, port } = this.client.options;
    return `${host}:${port}`;
  }

  /** Why there is no connection, as far as ioredis has said. */
  get reason(): string {
    const isOpening = this.client.status === 'connecting' || this.client.status === 'connect';
    return this.#firstError?.message ?? (isOpening ? 'it does not answer' : 'the connection was closed');
  }

  /**
   * Sends a command that may be lost, such as a read, as soon as there is a connection.
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

  /** Leaves the server, for whichever its address leads to now. @param everyMs not more often than that */
  reconnect(everyMs = 0): void {
    const now = performance.now();
    if (now - this.#leftAt < everyMs || !this.#leave()) return;
    this.#leftAt = now;
    this.client.disconnect(true);
  }

  /** Lets the commands in flight end, for a second at most, and closes. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ping);
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

  /** Whether this is the first reason to leave the server that is connected, of what may be hundreds of refusals. */
  #leave(): boolean {
    const isFirst = !this.#leaving;
    this.#leaving = true;
    return isFirst;
  }

  /** The error for what could not be sent. */
  unreachable(): SseError {
    return new SseError('SSE_UNAVAILABLE', `Redis is out of reach: ${this.reason}`, {
      cause: this.#firstError,
    });
  }
}

/** After how long a connection is made anew: nodes that have lost Redis together must not all come back together. */
const retryMs = (attempt: number): number => Math.min(50 * 2 ** (attempt - 1), 2_000) * (0.5 + Math.random());

function connect(source: ServerSource, options: RedisOptions): Redis {
  if (typeof source === 'string') {
    // What a URL says in its query would win over options that are not open to choice.
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

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { SseBroker } from '../broker/broker.js';
import { Channels } from '../channel/channels.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/sse.options.js';
import { type Access, isExpired } from './access.js';
import {
  type Connection,
  describe,
  END_MS,
  type OpenConnection,
  type SseConnection,
  type SseConnectionEnd,
  type SseEndReason,
} from './connection.js';
import { ConnectionIndex } from './connection-index.js';
import { AGAIN_MS, type Disconnection, type DisconnectTarget, leftMs, readerOf } from './disconnection.js';
import { Disconnections } from './disconnections.js';
import { dueAt, Heartbeats } from './heartbeats.js';
import { Lease } from './lease.js';
import { Limits } from './limits.js';
import { Listeners } from './listeners.js';

/** When a client that exceeds a limit may reconnect. */
const CROWDED_MS = 10_000;

/** All open connections of this node: accepts, lists and ends them. */
@Injectable()
export class Connections {
  readonly #open = new ConnectionIndex();
  readonly #limits: Limits;
  readonly #heartbeats: Heartbeats;
  readonly #instance = randomBytes(6).toString('base64url');
  readonly #disconnections: Disconnections;
  readonly connects = new Listeners<SseConnection>('onConnect()');
  readonly disconnects = new Listeners<SseConnectionEnd>('onDisconnect()');
  #count = 0;
  #refused = 0;
  #slow = 0;
  #draining = false;
  /** Aborted when the last connection ends while they are drained. */
  readonly #empty = new AbortController();

  constructor(
    broker: SseBroker,
    private readonly channels: Channels,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {
    this.#limits = new Limits(options.limits, channels, this.#open);
    this.#heartbeats = new Heartbeats(this.#open, options.heartbeatMs, (open, reason) =>
      this.#finish(open, reason),
    );
    const onDisconnection = (disconnection: Disconnection, isLate: boolean) =>
      this.#end(disconnection, isLate);
    this.#disconnections = new Disconnections(broker, options.history !== false, onDisconnection);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Whether no more connections are accepted, because the application shuts down. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Connections that were refused since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Connections that were closed since the start because the client did not read. */
  get slow(): number {
    return this.#slow;
  }

  /** Counts a connection that was refused without a call of `admit()`. */
  refuse(): void {
    this.#refused++;
  }

  /**
   * Accepts a connection, unless a recent disconnection applies to it, or it exceeds a limit.
   *
   * @returns the function to call when the connection has ended; or the time in ms after which its client may reconnect
   */
  admit(connection: Connection): ((reason?: SseEndReason) => void) | number {
    const { access, channels, source, response, askedAt = Date.now(), renew } = connection;
    const { users, sessions } = readerOf(access);
    const reader = { channels, askedAt, users, sessions, access };
    const refusedMs =
      (this.#draining && this.#elsewhereMs()) ||
      (isExpired(access) && AGAIN_MS) ||
      this.#disconnections.refusedMs(reader) ||
      (this.#limits.admits(connection, users) ? 0 : CROWDED_MS);
    if (refusedMs > 0) {
      this.#refused++;
      return refusedMs;
    }
    const number = this.#count++;
    const open: OpenConnection = {
      channels,
      askedAt,
      users,
      sessions,
      access,
      id: `${this.#instance}-${number}`,
      number,
      source,
      response,
      since: Date.now(),
      dueAt: response ? dueAt(this.options.maxConnectionAgeMs) : Infinity,
      connection,
    };
    this.#limits.add(connection);
    // Most connections need no timers.
    if (renew || access.expiresAt) open.lease = this.#lease(open, renew);
    this.#open.add(open);
    if (response) this.#heartbeats.start();
    const begin = () => this.#begin(open, connection);
    const caughtUp = this.#disconnections.listen();
    if (caughtUp) void caughtUp.then(begin);
    else begin();
    return (reason = 'client') => this.#leave(open, reason);
  }

  /** Resolves when a connection to the channels can begin at once; or when `over` is aborted. */
  async prepare(channels: readonly string[], over: AbortSignal): Promise<void> {
    if (this.#draining) return;
    const isOver = new Promise((resolve) => over.addEventListener('abort', resolve));
    await Promise.all([
      Promise.race([this.#disconnections.listen(), isOver]),
      this.channels.prepare(channels, over),
    ]);
    if (this.#open.size === 0) this.#disconnections.pause();
  }

  list(): SseConnection[] {
    return Array.from(this.#open, describe);
  }

  /**
   * Ends connections on all nodes.
   *
   * @returns how many on this one
   */
  disconnect(target: DisconnectTarget, refuseMs?: number): Promise<number> {
    return this.#disconnections.publish(target, refuseMs);
  }

  /** Accepts no more connections and ends all open ones, in random order, spread over `drainMs`. */
  async drain(): Promise<void> {
    this.#draining = true;
    const { drainMs } = this.options;
    const all = shuffle([...this.#open]);
    const start = performance.now();
    for (const [n, open] of all.entries()) {
      if (!this.#open.has(open)) continue;
      const wait = start + (drainMs * n) / all.length - performance.now();
      // Ends early when all clients have left.
      if (wait > 0) await sleep(wait, undefined, { signal: this.#empty.signal }).catch(() => undefined);
      if (this.#open.has(open)) this.#finish(open, 'shutdown', this.#elsewhereMs());
    }
  }

  /** Ends all connections, and every further one at once. */
  close(): void {
    this.#draining = true;
    this.#disconnections.close();
    for (const open of this.#open) {
      open.lease?.stop();
      this.#finish(open, 'shutdown');
    }
    this.channels.close();
  }

  /** Resolves when every response is closed. Responses that clients do not read to the end within a second are destroyed. */
  async ended(): Promise<void> {
    const responses = Array.from(this.#open, ({ response }) => response).filter((each) => each !== undefined);
    const all = Promise.all(responses.map((response) => response.closed()));
    await Promise.race([all, sleep(END_MS, undefined, { ref: false })]);
    for (const response of responses) response.destroy();
  }

  /** A late disconnection spares connections whose permission is newer. */
  #end(disconnection: Disconnection, isLate: boolean): number {
    const now = Date.now();
    let count = 0;
    for (const open of this.#open.find(disconnection)) {
      const retryMs = isLate ? leftMs(disconnection, open, now) : Math.max(0, disconnection.until - now);
      if (open.reason !== undefined || (isLate && retryMs === 0)) continue;
      count++;
      this.#finish(open, 'disconnect', retryMs || undefined);
    }
    return count;
  }

  #begin(open: OpenConnection, connection: Connection): void {
    // The client may have left, or the connection may have been ended, in the meantime.
    if (!this.#open.has(open) || open.reason !== undefined) return;
    open.hasBegun = true;
    this.connects.call(() => describe(open));
    connection.begin?.();
  }

  #finish(open: OpenConnection, reason: SseEndReason, retryMs?: number): void {
    open.reason ??= reason;
    open.connection.end(retryMs);
  }

  #leave(open: OpenConnection, reason: SseEndReason): void {
    if (!this.#open.delete(open)) return;
    open.lease?.stop();
    this.#limits.remove(open.connection);
    open.reason ??= reason;
    if (open.reason === 'slow') this.#slow++;
    if (open.hasBegun) this.disconnects.call(() => ({ ...describe(open), reason: open.reason! }));
    if (this.#open.size > 0) return;
    this.#heartbeats.stop();
    this.#disconnections.pause();
    if (this.#draining) this.#empty.abort();
  }

  #lease(open: OpenConnection, renew?: () => Promise<Access>): Lease {
    return new Lease(open.access, {
      askedAt: open.askedAt,
      revalidateMs: this.options.revalidateMs,
      renew,
      onRenewed: (access) => this.#open.update(open, readerOf(access)),
      onEnd: (reason) => this.#finish(open, reason),
    });
  }

  /** When a client may reconnect to another node: after half of `retryMs` to all of it; the response adds up to half as much again. */
  #elsewhereMs(): number {
    return this.options.retryMs * (0.5 + Math.random() / 2);
  }
}

/** Fisher–Yates. */
function shuffle<T>(list: T[]): T[] {
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [list[last], list[other]] = [list[other]!, list[last]!];
  }
  return list;
}

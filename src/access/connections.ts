import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { SseBroker } from '../broker/broker.js';
import { Channels } from '../channel/channels.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../sse.options.js';
import { type Access, isExpired } from './access.js';
import {
  type Connection,
  describe,
  type OpenConnection,
  type SseConnection,
  type SseConnectionEnd,
  type SseEndReason,
} from './connection.js';
import { ConnectionIndex } from './connection-index.js';
import { AGAIN_MS, type Disconnection, type DisconnectTarget, leftMs, readerOf } from './disconnection.js';
import { Disconnections } from './disconnections.js';
import { Lease } from './lease.js';
import { Limits } from './limits.js';
import { Listeners } from './listeners.js';

/** When a client that finds no room is to come back. */
const CROWDED_MS = 10_000;

/** The open streams of this process: which are let in, and which are ended. */
@Injectable()
export class Connections {
  readonly #open = new ConnectionIndex();
  readonly #limits: Limits;
  readonly #instance = randomBytes(6).toString('base64url');
  readonly #disconnections: Disconnections;
  readonly connects = new Listeners<SseConnection>('onConnect()');
  readonly disconnects = new Listeners<SseConnectionEnd>('onDisconnect()');
  #count = 0;
  #refused = 0;
  #draining = false;
  /** Of connections, while they are drained. */
  readonly #empty = new AbortController();

  constructor(
    broker: SseBroker,
    private readonly channels: Channels,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {
    this.#limits = new Limits(options.limits, channels, this.#open);
    const onDisconnection = (disconnection: Disconnection, isLate: boolean) =>
      this.#end(disconnection, isLate);
    this.#disconnections = new Disconnections(broker, options.history !== false, onDisconnection);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Whether no more are let in, for good. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Streams that were not let in, since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Counts a connection that was not let in before it was asked for. */
  refuse(): void {
    this.#refused++;
  }

  /**
   * Lets a connection in, unless it, or one like it, was disconnected a moment ago, or there are too many.
   *
   * @returns what to call when it has ended; or the time in ms after which its client may come back
   */
  admit(connection: Connection): ((reason?: SseEndReason) => void) | number {
    const { access, channels, source, askedAt = Date.now(), renew } = connection;
    const reader = { channels, askedAt, ...readerOf(access) };
    const refusedMs =
      (this.#draining && this.#elsewhereMs()) ||
      (isExpired(access) && AGAIN_MS) ||
      this.#disconnections.refusedMs(reader) ||
      (this.#limits.admits(connection, reader.users) ? 0 : CROWDED_MS);
    if (refusedMs > 0) {
      this.#refused++;
      return refusedMs;
    }
    const end = (retryMs?: number) => connection.end(retryMs);
    const id = `${this.#instance}-${this.#count++}`;
    const leave = this.#limits.add(connection);
    const open: OpenConnection = { ...reader, id, source, since: Date.now(), end, leave };
    // Most connections hold for as long as they last.
    if (renew || access.expiresAt) open.lease = this.#lease(open, renew);
    this.#open.add(open);
    const begin = () => this.#begin(open, connection);
    const caughtUp = this.#disconnections.listen();
    if (caughtUp) void caughtUp.then(begin);
    else begin();
    return (reason = 'client') => this.#leave(open, reason);
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

  /** Lets no more in, and ends all there are, in no order, spread over `drainMs`. */
  async drain(): Promise<void> {
    this.#draining = true;
    const { drainMs } = this.options;
    const all = shuffle([...this.#open]);
    const start = performance.now();
    for (const [n, open] of all.entries()) {
      if (!this.#open.has(open)) continue;
      const wait = start + (drainMs * n) / all.length - performance.now();
      // Nobody is waited for who has left.
      if (wait > 0) await sleep(wait, undefined, { signal: this.#empty.signal }).catch(() => undefined);
      if (this.#open.has(open)) this.#finish(open, 'shutdown', this.#elsewhereMs());
    }
  }

  /** Ends all of them at once. */
  close(): void {
    this.#draining = true;
    this.#disconnections.close();
    for (const open of this.#open) {
      open.reason ??= 'shutdown';
      open.lease?.stop();
      if (!open.hasBegun) open.end();
    }
    this.channels.close();
  }

  /** What was let in while this node did not listen may have been asked for since. */
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
    // Meanwhile it may have left, or been ended.
    if (!this.#open.has(open) || open.reason !== undefined) return;
    open.hasBegun = true;
    this.connects.call(() => describe(open));
    connection.begin?.();
  }

  #finish(open: OpenConnection, reason: SseEndReason, retryMs?: number): void {
    open.reason ??= reason;
    open.end(retryMs);
  }

  #leave(open: OpenConnection, reason: SseEndReason): void {
    if (!this.#open.delete(open)) return;
    open.lease?.stop();
    open.leave();
    open.reason ??= reason;
    if (open.hasBegun) this.disconnects.call(() => ({ ...describe(open), reason: open.reason! }));
    if (this.#open.size > 0) return;
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

  /** When a client may try another node: between half of what it is usually told and as much; more is added on the way. */
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

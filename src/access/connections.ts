import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { SseBroker } from '../broker/broker.js';
import { Channels } from '../channel/channels.js';
import { Bucket } from '../limiter.js';
import { RESOLVED_OPTIONS, type ResolvedOptions, type SseLimits } from '../sse.options.js';
import { isExpired, type SseAccess } from './access.js';
import {
  AGAIN_MS,
  applies,
  type Disconnection,
  Disconnections,
  type DisconnectTarget,
  isNewer,
  userOf,
} from './disconnections.js';
import { Lease } from './lease.js';

/** An open stream, as `SseService.connections()` shows it. */
export interface SseConnection {
  /** For `disconnect({ connection })`; another one in every process, and after every reconnection. */
  readonly id: string;
  /** In canonical form. */
  readonly channels: readonly string[];
  /** As text; absent where nothing has named one. */
  readonly user?: string;
  /** When it was let in. */
  readonly since: Date;
}

/** A stream that can be ended from elsewhere, and when its permission ends. */
export interface Connection {
  readonly channels: readonly string[];
  readonly access: SseAccess;
  /** When the permission was asked for; absent where nobody was. */
  readonly askedAt?: number;
  /** Whether its client has been here before. */
  readonly resumes: boolean;
  /** Of the client, where it is known. */
  readonly address?: string;
  /** Asks again for the permission; rejects where it is withdrawn. */
  readonly renew?: () => Promise<SseAccess>;
  /** @param retryMs when its client may come back; as ever, if that is not given */
  end(retryMs?: number): void;
}

/** When a client that finds no room is to come back. */
const CROWDED_MS = 10_000;
const WARN_MS = 60_000;
/** By how much the clocks of a process and of Redis may differ. */
const MAX_SKEW_MS = 5_000;

/** The open streams of this process: which are let in, and which are ended. */
@Injectable()
export class Connections {
  readonly #logger = new Logger('SseModule');
  readonly #open = new Map<Connection, { lease?: Lease; number: number; since: number }>();
  readonly #perUser = new Counts();
  readonly #perAddress = new Counts();
  readonly #resumes: Bucket;
  readonly #warned = new Map<keyof SseLimits, number>();
  readonly #instance = randomBytes(6).toString('base64url');
  readonly #disconnections: Disconnections;
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
    this.#resumes = new Bucket(options.limits.resumesPerSecond);
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

  /**
   * Lets a stream in, unless it, or one like it, was disconnected a moment ago, or there are too many.
   *
   * @returns what to call when it has ended; or the time in ms after which its client may come back
   */
  admit(connection: Connection): (() => void) | number {
    const refusedMs =
      (this.#draining && this.#elsewhereMs()) ||
      (isExpired(connection.access) && AGAIN_MS) ||
      this.#disconnections.refusedMs(connection) ||
      this.#crowdedMs(connection);
    if (refusedMs > 0) {
      this.#refused++;
      return refusedMs;
    }
    const { access, address, renew } = connection;
    // Most streams hold for as long as they last.
    const lease = renew || access.expiresAt ? new Lease(connection, this.options.revalidateMs) : undefined;
    const user = userOf(access);
    this.#open.set(connection, { lease, number: this.#count++, since: Date.now() });
    this.#perUser.add(user);
    this.#perAddress.add(address);
    this.#disconnections.listen();
    return () => {
      if (!this.#open.delete(connection)) return;
      lease?.stop();
      this.#perUser.delete(user);
      this.#perAddress.delete(address);
      if (this.#open.size > 0) return;
      this.#disconnections.pause();
      if (this.#draining) this.#empty.abort();
    };
  }

  list(): SseConnection[] {
    return Array.from(this.#open, ([{ channels, access }, { lease, number, since }]) => ({
      id: this.#idOf(number),
      channels,
      user: userOf(lease?.access ?? access),
      since: new Date(since),
    }));
  }

  /** Ends streams in all processes. */
  disconnect(target: DisconnectTarget, refuseMs?: number): Promise<void> {
    return this.#disconnections.publish(target, refuseMs);
  }

  /** Lets no more in, and ends all there are, in no order, spread over `drainMs`. */
  async drain(): Promise<void> {
    this.#draining = true;
    const { drainMs } = this.options;
    const all = shuffle([...this.#open.keys()]);
    const start = performance.now();
    for (const [n, connection] of all.entries()) {
      if (!this.#open.has(connection)) continue;
      const wait = start + (drainMs * n) / all.length - performance.now();
      // Nobody is waited for who has left.
      if (wait > 0) await sleep(wait, undefined, { signal: this.#empty.signal }).catch(() => undefined);
      if (this.#open.has(connection)) connection.end(this.#elsewhereMs());
    }
  }

  /** Ends all of them at once. */
  close(): void {
    this.#draining = true;
    this.#disconnections.close();
    for (const { lease } of this.#open.values()) lease?.stop();
    this.channels.close();
  }

  #end(disconnection: Disconnection, isLate: boolean): void {
    const { refuseMs, at, until } = disconnection;
    for (const [open, { lease, number, since }] of this.#open) {
      const access = lease?.access ?? open.access;
      // Who begins to listen hears of it late: those that were let in since, and might be again, may stay.
      const isOver = since - MAX_SKEW_MS > at && until <= Date.now();
      if (isLate && (isOver || isNewer(access, disconnection))) continue;
      const reader = { channels: open.channels, access, connection: this.#idOf(number) };
      if (applies(disconnection, reader)) open.end(refuseMs > 0 ? refuseMs : undefined);
    }
  }

  /** When a client may try another node: between half of what it is usually told and as much; more is added on the way. */
  #elsewhereMs(): number {
    return this.options.retryMs * (0.5 + Math.random() / 2);
  }

  #crowdedMs({ channels, access, address, resumes }: Connection): number {
    const { limits } = this.options;
    const counts: Partial<Record<keyof SseLimits, number>> = {
      connections: this.#open.size + 1,
      connectionsPerUser: this.#perUser.count(userOf(access)) + 1,
      connectionsPerAddress: this.#perAddress.count(address) + 1,
      channels: this.channels.countWith(channels),
    };
    let exceeded = (Object.keys(counts) as (keyof SseLimits)[]).find((name) => counts[name]! > limits[name]);
    if (!exceeded && resumes && !this.#resumes.take()) exceeded = 'resumesPerSecond';
    if (exceeded) this.#warn(exceeded);
    return exceeded ? CROWDED_MS : 0;
  }

  /** At most once a minute for each limit: it is a flood that it tells of. */
  #warn(name: keyof SseLimits): void {
    const now = Date.now();
    if (now - (this.#warned.get(name) ?? -Infinity) < WARN_MS) return;
    this.#warned.set(name, now);
    this.#logger.warn(`Streams are refused: the limit is ${this.options.limits[name]} (limits.${name})`);
  }

  #idOf(number: number): string {
    return `${this.#instance}-${number}`;
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

/** How many there are of each; of what is unknown, none. */
class Counts {
  readonly #counts = new Map<string, number>();

  count(key: string | undefined): number {
    return key === undefined ? 0 : (this.#counts.get(key) ?? 0);
  }

  add(key: string | undefined): void {
    if (key !== undefined) this.#counts.set(key, this.count(key) + 1);
  }

  delete(key: string | undefined): void {
    if (key === undefined) return;
    if (this.count(key) > 1) this.#counts.set(key, this.count(key) - 1);
    else this.#counts.delete(key);
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { type ClusterNode, Redis, type RedisOptions } from 'ioredis';
import type { ClusterSource } from '../redis-source.js';
import { SseError } from '../sse.errors.js';
import { RedisConnection } from './redis.connection.js';
import { isPassing } from './redis.pending.js';
import { RedisSlots, type SlotsReply } from './redis.slots.js';
import type { Home, Place, RedisServers, ServersListener } from './redis.servers.js';

/** Between two looks at who has which slots, in ms: while all masters are in reach, and while one is not. */
const [LOOK_MS, SEARCH_MS] = [5_000, 500];
/** How long one node is waited for with that. */
const ANSWER_MS = 1_000;
/** How long a repeatable command follows a migrating channel, and how often it retries, in ms. */
const [FOLLOW_MS, FOLLOW_EVERY_MS] = [2_000, 25];
/** Between two times that a server is left which turns out to be another one than its address says, in ms. */
const LEAVE_MS = 500;
/** How long a master that has no slots yet is kept in reach, after it was named. */
const KEEP_MS = 10_000;

/**
 * The masters of a Redis Cluster, with one connection to each, and the table of slots that says which channel is where.
 *
 * ioredis's own `Cluster` follows redirections command by command, which loses the order of publications, and its
 * subscriber does not say when it was interrupted; so each command goes to a connection of ours here, and whoever sends it
 * decides what a redirection means. Cost: one CLUSTER SLOTS in 5 s and process, of any master.
 */
export class RedisCluster implements RedisServers {
  readonly sharded: boolean;
  readonly #connections = new Map<string, RedisConnection>();
  readonly #seeds: string[] = [];
  readonly #options: RedisOptions;
  readonly #slots: RedisSlots;
  readonly #logger = new Logger('SseModule');
  #complaint: string | undefined;
  /** Named by a redirection, until when it is kept. */
  readonly #named = new Map<string, number>();
  /** The version of the slots that the listener was told of. */
  #told = 0;
  #home: string | undefined;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    { nodes, options }: ClusterSource,
    /** The key that says where a channel is. */
    private readonly keyOf: (channel: string) => string,
    private readonly listener: ServersListener,
  ) {
    this.sharded = options.shardedSubscribers === true;
    this.#slots = new RedisSlots(options.natMap);
    const seeds = nodes.map(seedOf);
    // What the URL of any says of the user, and of TLS, holds for all: nothing goes out in the clear that was not to.
    this.#options = { ...Object.assign({}, ...seeds.toReversed()), ...options.redisOptions, db: 0 };
    for (const { host, port } of seeds) this.#seeds.push(`${host}:${port}`);
    for (const seed of this.#seeds) this.#reach(seed);
    this.#lookAgain(SEARCH_MS);
  }

  get ready(): boolean {
    return this.#slots.areComplete && this.#masters.every((each) => this.#isReady(each));
  }

  laneOf(channel: string): string {
    return channel;
  }

  placeOf(channel: string, refusal?: Error): Place {
    const owner = this.#ownerOf(channel);
    const { kind, address } = this.#slots.redirectionIn(refusal) ?? {};
    if (kind === 'ASK' && address !== owner) {
      const connection = this.#name(address!);
      // Where it is gone, the owner knows whether the channel is still on its way there.
      if (connection.ready) return { connection, asking: true };
    }
    // One that does not have it says who does.
    return { connection: this.#reach(owner ?? anyOf(this.#masters) ?? this.#seeds[0]!) };
  }

  learn(refusal: Error, from?: RedisConnection): void {
    if (this.#closed) return;
    const redirection = this.#slots.redirectionIn(refusal);
    if (redirection) {
      const { kind, address } = redirection;
      this.#name(address);
      // It is known by a name that leads to another server by now.
      if (kind === 'MOVED' && from?.address === address) from.reconnect(LEAVE_MS);
    }
    // A server that has lost touch with the others may have told of slots, too.
    if (redirection || refusal.message.startsWith('CLUSTERDOWN')) void this.#look();
  }

  homeOf(channel: string): Home | undefined {
    const name = this.sharded ? this.#ownerOf(channel) : (this.#home = this.#lasting(this.#home));
    return name === undefined ? undefined : { name, source: this.#optionsOf(name) };
  }

  leave(home: string): void {
    const others = this.#masters.filter((each) => each !== home && this.#isReady(each));
    if (this.#home === home) this.#home = anyOf(others) ?? home;
  }

  async run<T>(channel: string, command: (place: Place) => Promise<T>): Promise<T> {
    const end = performance.now() + FOLLOW_MS;
    for (let refusal: Error | undefined; ;) {
      const place = this.placeOf(channel, refusal);
      try {
        return await place.connection.run(() => command(place));
      } catch (error) {
        const { cause } = error as SseError;
        refusal = cause instanceof Error && isPassing(cause) ? cause : undefined;
        if (refusal) this.learn(refusal, place.connection);
        const hasMoved = this.placeOf(channel).connection !== place.connection;
        if (this.#closed || !(hasMoved || (refusal && performance.now() <= end))) throw error;
      }
      await sleep(FOLLOW_EVERY_MS, undefined, { ref: false });
    }
  }

  async runOnAll<T>(command: (client: Redis) => Promise<T>, waitMs: number): Promise<T[]> {
    const end = performance.now() + waitMs;
    while (!this.ready) {
      if (performance.now() > end || this.#closed) throw this.#unreachable();
      await sleep(FOLLOW_EVERY_MS, undefined, { ref: false });
    }
    return Promise.all(this.#masters.map((each) => this.#reach(each).run(command, waitMs)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()));
  }

  get #masters(): string[] {
    return [...this.#slots.masters];
  }

  #ownerOf(channel: string): string | undefined {
    return this.#slots.ownerOf(this.keyOf(channel));
  }

  #isReady(address: string): boolean {
    return this.#connections.get(address)?.ready === true;
  }

  /** The same as long as it is in reach, or nothing else is. */
  #lasting(home: string | undefined): string | undefined {
    if (home !== undefined && this.#isReady(home)) return home;
    return anyOf(this.#masters.filter((each) => this.#isReady(each))) ?? home;
  }

  #optionsOf(address: string): RedisOptions {
    const colon = address.lastIndexOf(':');
    return { ...this.#options, host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  }

  /** The connection to a server, which is opened if there is none. */
  #reach(address: string): RedisConnection {
    const known = this.#connections.get(address);
    if (known) return known;
    const connection = new RedisConnection(this.#optionsOf(address), 'commands', { socketTimeout: 3_000 });
    this.#connections.set(address, connection);
    this.listener.onConnection(connection);
    for (const event of ['ready', 'close']) {
      connection.client.on(event, () => {
        if (this.#closed || this.#connections.get(address) !== connection) return;
        void this.#look();
        this.listener.onChange();
      });
    }
    return connection;
  }

  /** The connection to one that is named as having a channel: it may have no slots yet. */
  #name(address: string): RedisConnection {
    this.#named.set(address, performance.now() + KEEP_MS);
    return this.#reach(address);
  }

  #lookAgain(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  /** Finds out who has which slots. */
  #look(): Promise<void> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined;
      this.#lookAgain(this.ready ? LOOK_MS : SEARCH_MS);
    });
    return this.#looking;
  }

  async #ask(): Promise<void> {
    const ready = [...this.#connections.keys()].filter((each) => this.#isReady(each));
    // Who was named as the new one knows, and others hear of it.
    const rank = (each: string) => (this.#named.has(each) ? 0 : 1) + Math.random();
    const ranks = new Map(ready.map((each) => [each, rank(each)]));
    for (const address of ready.toSorted((a, b) => ranks.get(a)! - ranks.get(b)!)) {
      const answer = this.#reach(address).client.cluster('SLOTS');
      const late = sleep(ANSWER_MS, undefined, { ref: false });
      const reply = await Promise.race([answer.catch((error: Error) => this.#complain(error)), late]);
      if (this.#closed) return;
      if (reply && this.#slots.take(reply as unknown as SlotsReply, address)) return this.#use();
    }
    // Perhaps all have other addresses by now: those that were given may lead to them.
    for (const seed of this.#seeds) this.#reach(seed);
  }

  #complain({ name, message }: Error): void {
    if (name !== 'ReplyError' || message === this.#complaint) return;
    this.#complaint = message;
    this.#logger.error(`Redis does not say which of \`nodes\` has which channels: ${message}`);
  }

  #use(): void {
    const now = performance.now();
    for (const [address, until] of this.#named) if (until < now) this.#named.delete(address);
    for (const master of this.#masters) this.#reach(master);
    for (const [address, connection] of this.#connections) {
      if (this.#slots.masters.has(address)) continue;
      connection.turnAway();
      if (this.#named.has(address)) continue;
      this.#connections.delete(address);
      void connection.close();
    }
    if (this.#told === this.#slots.version) return;
    this.#told = this.#slots.version;
    this.listener.onChange();
  }

  #unreachable(): SseError {
    const away = [...this.#connections.values()].find(({ ready }) => !ready);
    return (
      away?.unreachable() ??
      new SseError('SSE_UNAVAILABLE', `Redis is out of reach: ${this.#complaint ?? 'slots have no master'}`)
    );
  }
}

const anyOf = <T>(all: readonly T[]): T | undefined => all[Math.floor(Math.random() * all.length)];

/** A node as options, however ioredis lets it be written. */
function seedOf(node: ClusterNode): RedisOptions {
  const { host, port, username, password, tls } = new Redis(node as string, { lazyConnect: true }).options;
  return { host, port, ...(username && { username }), ...(password && { password }), ...(tls && { tls }) };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { type ClusterNode, Redis, type RedisOptions } from 'ioredis';
import type { ClusterSource } from '../../options/redis-source.js';
import { SseError } from '../../common/sse.errors.js';
import { RedisConnection } from './connection.js';
import { isTemporary } from './publication.js';
import { RedisSlots, type SlotsReply } from './slots.js';
import type { RedisTopology, Route, Server, TopologyListener } from './topology.js';

/** How often the slots are read, in ms: while all masters are reachable, and while one is not. */
const [REFRESH_MS, SEARCH_MS] = [5_000, 500];
/** How long one server may take to answer that. */
const ANSWER_MS = 1_000;
/** How long a repeatable command follows a migrating channel, and how often it retries, in ms. */
const [FOLLOW_MS, FOLLOW_EVERY_MS] = [2_000, 25];
/** Minimum time between two reconnections to an address that leads to the wrong server, in ms. */
const RECONNECT_MS = 500;
/** How long the connection to a server without slots is kept, after a redirection has named the server. */
const KEEP_MS = 10_000;

/**
 * The masters of a Redis Cluster: one connection to each, and the slot table, which says which master has a channel.
 *
 * ioredis's own `Cluster` follows redirections command by command, which loses the order of publications, and its subscriber
 * does not report interruptions. Cost: one CLUSTER SLOTS in 5 s and process.
 */
export class RedisCluster implements RedisTopology {
  readonly sharded: boolean;
  readonly #connections = new Map<string, RedisConnection>();
  readonly #seeds: string[] = [];
  readonly #options: RedisOptions;
  readonly #slots: RedisSlots;
  readonly #logger = new Logger('SseModule');
  #complaint: string | undefined;
  /** Servers that a redirection has named, and how long their connections are kept. */
  readonly #named = new Map<string, number>();
  /** The version of the slots at the last call of the listener. */
  #reported = 0;
  /** The server to subscribe on, unless Pub/Sub is sharded. */
  #subscriptionServer: string | undefined;
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    { nodes, options }: ClusterSource,
    /** A key of a channel: its slot is the channel's. */
    private readonly keyOf: (channel: string) => string,
    private readonly listener: TopologyListener,
  ) {
    this.sharded = options.shardedSubscribers === true;
    this.#slots = new RedisSlots(options.natMap);
    const seeds = nodes.map(seedOf);
    // User and TLS of any URL hold for all servers, so that no connection is unencrypted by mistake.
    this.#options = { ...Object.assign({}, ...seeds.toReversed()), ...options.redisOptions, db: 0 };
    for (const { host, port } of seeds) this.#seeds.push(`${host}:${port}`);
    for (const seed of this.#seeds) this.#reach(seed);
    this.#refreshLater(SEARCH_MS);
  }

  get ready(): boolean {
    return this.#slots.areComplete && this.#masters.every((each) => this.#isReady(each));
  }

  queueOf(channel: string): string {
    return channel;
  }

  routeOf(channel: string, refusal?: Error): Route {
    const owner = this.#ownerOf(channel);
    const { kind, address } = this.#slots.redirectionIn(refusal) ?? {};
    if (kind === 'ASK' && address !== owner) {
      const connection = this.#name(address!);
      // While it is unreachable, the owner knows whether the slot is still migrating.
      if (connection.ready) return { connection, asking: true };
    }
    // Any server redirects to the right one.
    return { connection: this.#reach(owner ?? anyOf(this.#masters) ?? this.#seeds[0]!) };
  }

  learn(refusal: Error, from?: RedisConnection): void {
    if (this.#closed) return;
    const redirection = this.#slots.redirectionIn(refusal);
    if (redirection) {
      const { kind, address } = redirection;
      this.#name(address);
      // Its address leads to another server by now.
      if (kind === 'MOVED' && from?.address === address) from.reconnect(RECONNECT_MS);
    }
    // The slots may be from a server that is partitioned from the others.
    if (redirection || refusal.message.startsWith('CLUSTERDOWN')) void this.#refresh();
  }

  subscriptionServerOf(channel: string): Server | undefined {
    if (!this.sharded) this.#subscriptionServer = this.#lasting(this.#subscriptionServer);
    const name = this.sharded ? this.#ownerOf(channel) : this.#subscriptionServer;
    return name === undefined ? undefined : { name, source: this.#optionsOf(name) };
  }

  leave(server: string): void {
    const others = this.#masters.filter((each) => each !== server && this.#isReady(each));
    if (this.#subscriptionServer === server) this.#subscriptionServer = anyOf(others) ?? server;
  }

  async run<T>(channel: string, command: (route: Route) => Promise<T>): Promise<T> {
    const end = performance.now() + FOLLOW_MS;
    for (let refusal: Error | undefined; ;) {
      const route = this.routeOf(channel, refusal);
      try {
        return await route.connection.run(() => command(route));
      } catch (error) {
        const { cause } = error as SseError;
        refusal = cause instanceof Error && isTemporary(cause) ? cause : undefined;
        if (refusal) this.learn(refusal, route.connection);
        const hasMoved = this.routeOf(channel).connection !== route.connection;
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

  /** The same server while it is reachable, or no other one is. */
  #lasting(server: string | undefined): string | undefined {
    if (server !== undefined && this.#isReady(server)) return server;
    return anyOf(this.#masters.filter((each) => this.#isReady(each))) ?? server;
  }

  #optionsOf(address: string): RedisOptions {
    const colon = address.lastIndexOf(':');
    return { ...this.#options, host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  }

  /** The connection to a server; opens one if there is none. */
  #reach(address: string): RedisConnection {
    const known = this.#connections.get(address);
    if (known) return known;
    const connection = new RedisConnection(this.#optionsOf(address), 'commands', 3_000);
    this.#connections.set(address, connection);
    this.listener.onConnection(connection);
    for (const event of ['ready', 'close']) {
      connection.client.on(event, () => {
        if (this.#closed || this.#connections.get(address) !== connection) return;
        void this.#refresh();
        this.listener.onChange();
      });
    }
    return connection;
  }

  /** The connection to a server that a redirection names: it may have no slots yet. */
  #name(address: string): RedisConnection {
    this.#named.set(address, performance.now() + KEEP_MS);
    return this.#reach(address);
  }

  #refreshLater(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => void this.#refresh(), ms).unref();
  }

  /** Reads which master has which slots. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#readSlots().finally(() => {
      this.#refreshing = undefined;
      this.#refreshLater(this.ready ? REFRESH_MS : SEARCH_MS);
    });
    return this.#refreshing;
  }

  async #readSlots(): Promise<void> {
    const ready = [...this.#connections.keys()].filter((each) => this.#isReady(each));
    // A server that a redirection has named knows of its slots first.
    const rank = (each: string) => (this.#named.has(each) ? 0 : 1) + Math.random();
    const ranks = new Map(ready.map((each) => [each, rank(each)]));
    for (const address of ready.toSorted((a, b) => ranks.get(a)! - ranks.get(b)!)) {
      const answer = this.#reach(address).client.cluster('SLOTS');
      const late = sleep(ANSWER_MS, undefined, { ref: false });
      const reply = await Promise.race([answer.catch((error: Error) => this.#complain(error)), late]);
      if (this.#closed) return;
      if (reply && this.#slots.take(reply as unknown as SlotsReply, address)) return this.#use();
    }
    // All servers may have new addresses, which the configured ones may lead to.
    for (const seed of this.#seeds) this.#reach(seed);
  }

  #complain({ name, message }: Error): void {
    if (name !== 'ReplyError' || message === this.#complaint) return;
    this.#complaint = message;
    this.#logger.error(`Redis does not tell which server of the cluster has which slots: ${message}`);
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
    if (this.#reported === this.#slots.version) return;
    this.#reported = this.#slots.version;
    this.listener.onChange();
  }

  #unreachable(): SseError {
    const unreachable = [...this.#connections.values()].find(({ ready }) => !ready);
    const reason = this.#complaint ?? 'slots have no master';
    return unreachable?.unreachable() ?? new SseError('SSE_UNAVAILABLE', `Redis is unreachable: ${reason}`);
  }
}

const anyOf = <T>(all: readonly T[]): T | undefined => all[Math.floor(Math.random() * all.length)];

/** A configured node as options, in any spelling that ioredis knows. */
function seedOf(node: ClusterNode): RedisOptions {
  const { host, port, username, password, tls } = new Redis(node as string, { lazyConnect: true }).options;
  return { host, port, ...(username && { username }), ...(password && { password }), ...(tls && { tls }) };
}

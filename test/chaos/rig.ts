import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { Proxy } from '../support/proxy.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { HoppingClient } from './client.js';
import { Node } from './node.js';
import { Publisher } from './publisher.js';
import { Random } from './random.js';

export const CHANNELS = ['a', 'b', 'c'];
/** So much that nothing is trimmed while the rig runs: then every reset needs another cause. */
export const HISTORY = {
  maxEvents: 1_000_000,
  maxAgeMs: 86_400_000,
  maxReplayEvents: 1_000_000,
  maxReplayBytes: 2 ** 30,
};
const REDIS = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** An entry of a history. */
export interface Entry {
  readonly id: string;
  readonly data: string;
}

/** Real processes under faults: Redis, applications behind proxies, publishers and clients. All chance is of the seed. */
export class Rig {
  /** What is being done to it, noted with all that happens. */
  fault = 'none';
  /** How often Redis has been made to lose something, by channel. */
  readonly losses = new Map(CHANNELS.map((channel) => [channel, 0]));
  readonly random: Random;
  readonly clients: HoppingClient[] = [];
  readonly nodes: Node[] = [];
  readonly publishers: Publisher[] = [];
  readonly problems: string[] = [];
  server!: RedisServer;
  admin!: Redis;
  readonly #unhandled = (error: unknown) => this.problems.push(`Nobody has handled ${String(error)}`);

  constructor(
    readonly seed: number,
    private readonly history = HISTORY,
  ) {
    this.random = new Random(seed);
  }

  /** @param options with `quiet`, publishers wait for `send()` */
  async start({ nodes = 2, publishers = 2, clients = 18, quiet = false } = {}): Promise<void> {
    process.on('unhandledRejection', this.#unhandled);
    this.server = await startRedis(REDIS, { ownClock: true });
    this.admin = this.server.admin({ maxRetriesPerRequest: 10_000 });
    for (let n = 0; n < nodes; n++) await this.startNode();
    const label = () => this.fault;
    for (let n = 0; n < publishers; n++) {
      const random = new Random(this.seed * 77 + n);
      const proxy = await Proxy.start(this.server.port);
      this.publishers.push(
        new Publisher({ number: n, proxy, history: this.history, channels: CHANNELS, random, during: label }),
      );
    }
    if (!quiet) for (const publisher of this.publishers) publisher.start();
    const ports = () => this.nodes.map(({ port }) => port);
    for (let n = 0; n < clients; n++) {
      const random = new Random(this.seed * 1_000 + n);
      this.clients.push(new HoppingClient(CHANNELS[n % CHANNELS.length]!, ports, random, label));
    }
  }

  get proxies(): Proxy[] {
    return [...this.nodes, ...this.publishers].map(({ proxy }) => proxy);
  }

  async startNode(proxy?: Proxy): Promise<void> {
    const node = await Node.start(proxy ?? (await Proxy.start(this.server.port)), this.history);
    void node.ended.then((how) => how && this.problems.push(`A node ended by itself: ${how}`));
    this.nodes.push(node);
  }

  /** A replica that has not got the last events takes over, and the master is gone. */
  async failOver(lagMs: number): Promise<void> {
    const link = await Proxy.start(this.server.port);
    const replica = await startRedis(REDIS, { ownClock: true });
    const admin = replica.admin({ maxRetriesPerRequest: 10_000 });
    await admin.replicaof('127.0.0.1', new URL(link.url).port);
    await until(async () => (await admin.info('replication')).includes('master_link_status:up'));
    link.holdDown = true;
    await sleep(lagMs);
    await admin.replicaof('NO', 'ONE');
    link.close();
    for (const proxy of this.proxies) {
      proxy.target = replica.port;
      proxy.cut();
    }
    await this.server.kill();
    this.admin.disconnect();
    [this.server, this.admin] = [replica, admin];
  }

  /** Notes a loss, which clients may be told of, once each. */
  lose(...channels: readonly string[]): void {
    for (const channel of channels) this.losses.set(channel, this.losses.get(channel)! + 1);
  }

  /** Everything heals, one last event goes to each channel, and every client gets it. */
  async settle(): Promise<void> {
    this.fault = 'none';
    await Promise.all(this.publishers.map((publisher) => publisher.stop()));
    for (const client of this.clients) client.settle();
    for (const channel of CHANNELS) {
      const confirmed = async () => (await this.publishers[0]!.send(channel)).id !== undefined;
      await until(confirmed, Boolean, 30_000);
    }
    const chains = await this.chains();
    const late = () =>
      this.clients
        .filter(({ channel, lastEventId }) => lastEventId !== chains.get(channel)!.at(-1)!.id)
        .map(({ channel, lastEventId, deliveries }) => ({ channel, lastEventId, count: deliveries.length }));
    await until(late, ({ length }) => length === 0, 60_000);
  }

  /** What Redis has in the end. */
  async chains(): Promise<Map<string, Entry[]>> {
    const chains = new Map<string, Entry[]>();
    for (const channel of CHANNELS) {
      const entries = await this.admin.xrange(`sse:{${channel}}:history`, '-', '+');
      const chain = entries.map(([cursor, [, value]]) => {
        const { id, data } = JSON.parse(value!.slice(value!.indexOf('{'))) as { id?: string; data: string };
        return { id: id ?? cursor, data };
      });
      chains.set(channel, chain);
    }
    return chains;
  }

  /** Every node is subscribed to what its clients want, and to nothing when they have gone; nothing else is left open. */
  async leave(): Promise<void> {
    const subscribed = () => this.admin.pubsub('NUMSUB', ...CHANNELS.map((channel) => `sse:${channel}`));
    const wanted = (counts: unknown[], count: number) =>
      counts.every((each, n) => n % 2 === 0 || each === count);
    await until(subscribed, (counts) => wanted(counts, this.nodes.length), 20_000);
    for (const client of this.clients) client.close();
    await until(subscribed, (counts) => wanted(counts, 0), 20_000);
    for (const node of this.nodes) {
      // Two connections to Redis, and the one that asks.
      await until(
        () => node.resources(),
        ({ sockets, streams, channels }) => sockets === 3 && streams + channels === 0,
      );
    }
    const connections = async () => String(await this.admin.client('LIST')).match(/name=sse:/g)?.length ?? 0;
    await until(connections, (count) => count === 2 * this.nodes.length + this.publishers.length);
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    for (const node of this.nodes) node.kill();
    await Promise.all(this.publishers.map((publisher) => publisher.close()));
    for (const proxy of this.proxies) proxy.close();
    this.admin.disconnect();
    process.off('unhandledRejection', this.#unhandled);
  }
}

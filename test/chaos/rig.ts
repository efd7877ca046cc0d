import type { Cluster, Redis } from 'ioredis';
import { Proxy } from '../support/proxy.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { HoppingClient, Sightings } from './client.js';
import { Node, type Resources } from './node.js';
import { Publisher } from './publisher.js';
import { Random } from './random.js';
import type { Topology, Way } from './way.js';

export const CHANNELS = ['a', 'b', 'c'];
/** Large enough that Redis trims nothing during a run, so every reset has another cause. */
export const HISTORY = {
  maxEvents: 1_000_000,
  maxAgeMs: 86_400_000,
  maxReplayEvents: 1_000_000,
  maxReplayBytes: 2 ** 30,
};
/** Entries of a history per read. */
const PAGE = 1_000;
export const REDIS = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'];

/** An entry of a history. */
export interface Entry {
  readonly id: string;
  /** Without the padding of large events. */
  readonly data: string;
}

interface RigOptions {
  readonly history?: typeof HISTORY;
  readonly channels?: readonly string[];
  readonly maxConnectionAgeMs?: false;
  readonly topology?: Topology;
}

interface Load {
  readonly nodes?: number;
  /** The number of nodes, from the first on, that no fault ends. */
  readonly spared?: number;
  readonly publishers?: number;
  /** Publications a second, of all publishers. */
  readonly rate?: number;
  readonly clients?: number;
  /** The share of events with an id of the publisher, from 0 to 1. */
  readonly ownIds?: number;
  /** For how long clients stay on a connection. */
  readonly stayMs?: readonly [min: number, max: number];
  /** Publishers wait for `send()`. */
  readonly quiet?: boolean;
}

/** Real processes under faults: Redis, applications behind proxies, publishers and clients. The seed determines all random choices. */
export class Rig {
  /** Records deliveries together with the current fault. */
  readonly sightings = new Sightings();
  readonly channels: readonly string[];
  /** How often a fault made Redis lose events, by channel. */
  readonly losses: Map<string, number>;
  readonly random: Random;
  readonly clients: HoppingClient[] = [];
  readonly nodes: Node[] = [];
  readonly publishers: Publisher[] = [];
  readonly problems: string[] = [];
  /** The server that all processes use through proxies, unless there is another topology. */
  server!: RedisServer;
  admin!: Redis | Cluster;
  readonly #topology: Topology | undefined;
  readonly #history: typeof HISTORY;
  readonly #maxConnectionAgeMs: false | undefined;
  #spared = 0;
  readonly #unhandled = (error: unknown) => this.problems.push(`Nobody has handled ${String(error)}`);

  constructor(
    readonly seed: number,
    { history = HISTORY, channels = CHANNELS, maxConnectionAgeMs, topology }: RigOptions = {},
  ) {
    this.#history = history;
    this.#maxConnectionAgeMs = maxConnectionAgeMs;
    this.#topology = topology;
    this.channels = channels;
    this.losses = new Map(channels.map((channel) => [channel, 0]));
    this.random = new Random(seed);
  }

  async start(load: Load = {}): Promise<void> {
    const {
      nodes = 2,
      spared = 0,
      publishers = 2,
      rate = 850,
      clients = 18,
      ownIds = 0.2,
      stayMs,
      quiet,
    } = load;
    this.#spared = spared;
    process.on('unhandledRejection', this.#unhandled);
    if (this.#topology) {
      this.admin = this.#topology.admin();
    } else {
      this.server = await startRedis(REDIS, { ownClock: true });
      this.admin = this.server.admin({ maxRetriesPerRequest: 10_000 });
    }
    await Promise.all(Array.from({ length: nodes }, () => this.startNode()));
    const { channels, sightings } = this;
    for (let number = 0; number < publishers; number++) {
      const random = new Random(this.seed * 77 + number);
      const way = await this.#way();
      const during = () => sightings.fault;
      const options = { number, way, history: this.#history, channels, rate: rate / publishers, ownIds };
      this.publishers.push(new Publisher({ ...options, random, during }));
    }
    if (!quiet) for (const publisher of this.publishers) publisher.start();
    for (let n = 0; n < clients; n++) {
      const channel = channels[n % channels.length]!;
      const random = new Random(this.seed * 1_000 + n);
      this.clients.push(new HoppingClient({ channel, ports: this.ports, random, sightings, stayMs }));
    }
  }

  readonly ports = (): number[] => this.nodes.map(({ port }) => port);

  get proxies(): Proxy[] {
    return this.#topology ? [] : [...this.nodes, ...this.publishers].map(({ proxy }) => proxy);
  }

  async startNode(proxy?: Proxy): Promise<void> {
    const node = await Node.start(proxy ?? (await this.#way()), {
      history: this.#history,
      maxConnectionAgeMs: this.#maxConnectionAgeMs,
    });
    void node.ended.then((how) => how && this.problems.push(`A node ended by itself: ${how}`));
    this.nodes.push(node);
  }

  /** A way to Redis for one process. */
  async #way(): Promise<Way> {
    return this.#topology?.options ?? Proxy.start(this.server.port);
  }

  /** A random node that a fault may end. */
  mortal(): Node {
    return this.random.of(this.nodes.slice(this.#spared));
  }

  /** Clients no longer connect to the node. */
  forget(node: Node): void {
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  /** Records a loss: each client of the channels may get one reset for it. */
  lose(...channels: readonly string[]): void {
    for (const channel of channels) this.losses.set(channel, this.losses.get(channel)! + 1);
  }

  /** Waits until the faults are over and every client has received a last event on its channel. */
  async settle(): Promise<void> {
    this.sightings.fault = 'none';
    await Promise.all(this.publishers.map((publisher) => publisher.stop()));
    for (const client of this.clients) client.settle();
    const tips = new Map<string, string>();
    for (const channel of this.channels) {
      const confirmed = async () => (await this.publishers[0]!.send(channel)).id !== undefined;
      await until(confirmed);
      const [tip] = await this.admin.xrevrange(`sse:{${channel}}:history`, '+', '-', 'COUNT', 1);
      tips.set(channel, entryOf(tip!)!.id);
    }
    const late = () =>
      this.clients
        .filter(({ channel, lastEventId }) => lastEventId !== tips.get(channel))
        .map(({ channel, lastEventId, deliveries }) => ({ channel, lastEventId, count: deliveries.length }));
    await until(late, ({ length }) => length === 0);
  }

  /** The stored events of a channel. */
  async chain(channel: string): Promise<Entry[]> {
    const chain: Entry[] = [];
    for (let start = '-'; ;) {
      const page = await this.admin.xrange(`sse:{${channel}}:history`, start, '+', 'COUNT', PAGE);
      for (const each of page) {
        const entry = entryOf(each);
        if (entry) chain.push(entry);
      }
      if (page.length < PAGE) return chain;
      start = `(${page.at(-1)![0]}`;
    }
  }

  /** Checks that nodes subscribe to the channels of their clients, and to none after all clients left, and that nothing else stays open. */
  async leave(): Promise<void> {
    const { channels, clients } = this;
    const subscribed = async () => {
      const counts = await this.admin.pubsub('NUMSUB', ...channels.map((channel) => `sse:${channel}`));
      return counts.filter((_, n) => n % 2 === 1).join();
    };
    const ports = new Map(channels.map((channel) => [channel, new Set<number | undefined>()]));
    for (const { channel, port } of clients) ports.get(channel)!.add(port);
    const wanted = [...ports.values()].map(({ size }) => size).join();
    await until(subscribed, (counts) => counts === wanted);
    for (const client of clients) client.close();
    const fresh = await this.#visit();
    await until(subscribed, (counts) => !/[1-9]/.test(counts));
    for (const node of this.nodes) await until(() => node.resources(), isBare);
    const few = await fresh.timers();
    for (const node of this.nodes) {
      await until(
        () => node.timers(),
        (count) => count <= few,
      );
    }
    const connections = async () => String(await this.admin.client('LIST')).match(/name=sse:/g)?.length ?? 0;
    await until(connections, (count) => count === 2 * this.nodes.length + this.publishers.length);
  }

  /** A new node, to which one client has connected and disconnected again. */
  async #visit(): Promise<Node> {
    await this.startNode();
    const node = this.nodes.at(-1)!;
    const { random, sightings, channels } = this;
    const client = new HoppingClient({
      channel: channels[0]!,
      ports: () => [node.port],
      random,
      sightings,
    });
    await until(() => client.lastEventId !== undefined);
    client.close();
    return node;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    await Promise.all(this.nodes.map((node) => node.kill()));
    await Promise.all(this.publishers.map((publisher) => publisher.close()));
    for (const proxy of this.proxies) proxy.close();
    this.admin.disconnect();
    process.off('unhandledRejection', this.#unhandled);
  }
}

/** Two connections to Redis, and that of the request. */
const isBare = ({ sockets, connections, channels }: Resources) =>
  sockets === 3 && connections + channels === 0;

/** Undefined for an entry that no client can read. */
function entryOf([cursor, [, value]]: [cursor: string, fields: string[]]): Entry | undefined {
  const { id, data } = JSON.parse(value!.slice(value!.indexOf('{'))) as { id?: string; data: unknown };
  return typeof data === 'string' ? { id: id ?? cursor, data: data.replace(/\.+$/, '') } : undefined;
}

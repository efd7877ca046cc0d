import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import calculateSlot from 'cluster-key-slot';
import { Cluster } from 'ioredis';
import type { RedisClusterOptions } from 'nestjs-sse-channels';
import { startMembers } from './cluster-member.js';
import { type RedisServer, stopAfterTest } from './redis.js';
import { until } from './until.js';

/** A server in the view of another server. */
interface Member {
  readonly id: string;
  readonly port: number;
  /** The port by which other servers reach it. */
  readonly bus: number;
  readonly flags: string;
  readonly master: string;
  readonly slots: readonly string[];
}

/** A migrating slot. */
export interface Migration {
  readonly from: RedisServer;
  readonly to: RedisServer;
  readonly carry: (key: string) => Promise<unknown>;
  /** Moves the remaining keys, and notifies all masters. @param pauseMs before each key */
  readonly end: (pauseMs?: number) => Promise<void>;
}

/** A Redis Cluster of real processes: masters, each with a replica or none. Stopped after the test. */
export class TestCluster {
  readonly #down = new Set<RedisServer>();

  private constructor(readonly servers: readonly RedisServer[]) {}

  static async start({ masters = 3, replicas = 1 } = {}): Promise<TestCluster> {
    const count = masters * (1 + replicas);
    const servers = await startMembers(count);
    for (const server of servers) stopAfterTest(server);
    return TestCluster.of(servers, replicas);
  }

  /** Creates a cluster of running, empty servers. */
  static async of(servers: readonly RedisServer[], replicas: number): Promise<TestCluster> {
    const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
    const options = ['--cluster-replicas', `${replicas}`, '--cluster-yes'];
    try {
      await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, ...options]);
    } catch (error) {
      throw new Error((error as { stdout: string }).stdout, { cause: error });
    }
    const cluster = new TestCluster(servers);
    await cluster.settled();
    return cluster;
  }

  /** The options for an application. */
  get options(): RedisClusterOptions {
    return { nodes: this.servers.map(({ port }) => ({ host: '127.0.0.1', port })) };
  }

  get #up(): RedisServer[] {
    return this.servers.filter((server) => !this.#down.has(server));
  }

  /** A client of the cluster. */
  admin(): Cluster {
    const redisOptions = { maxRetriesPerRequest: 10_000 };
    return new Cluster(this.options.nodes, { redisOptions }).on('error', () => undefined);
  }

  /** Sends a command to one server. */
  async call(server: RedisServer, command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const admin = server.admin();
    try {
      return await admin.call(command, ...args);
    } finally {
      admin.disconnect();
    }
  }

  /** All servers in the view of one server. */
  async members(asked = this.#up[0]!): Promise<Member[]> {
    const text = String(await this.call(asked, 'CLUSTER', 'NODES'));
    const lines = text.trim().split('\n');
    return lines.map((line) => {
      const [id, address, flags, master, , , , , ...slots] = line.split(' ') as [
        string,
        string,
        string,
        string,
      ];
      const [, port, bus] = /:(\d+)@(\d+)/.exec(address)!;
      return { id, port: Number(port), bus: Number(bus), flags, master, slots };
    });
  }

  async idOf({ port }: RedisServer): Promise<string> {
    return (await this.members()).find((member) => member.port === port)!.id;
  }

  /** The master that has the channel. */
  async ownerOf(channel: string): Promise<RedisServer> {
    const slot = slotOf(channel);
    const has = (range: string) => {
      const [first, last = first] = range.split('-').map(Number);
      return first! <= slot && slot <= last!;
    };
    const members = await this.members();
    const owner = members.find(({ slots }) => slots.some((range) => !range.startsWith('[') && has(range)));
    return this.servers.find(({ port }) => port === owner?.port)!;
  }

  async masters(): Promise<RedisServer[]> {
    const ports = (await this.members()).filter(({ slots }) => slots.length > 0).map(({ port }) => port);
    return this.servers.filter(({ port }) => ports.includes(port));
  }

  /** A failover by an operator: the replica gets all data before it takes over. */
  async failOver(channel: string): Promise<void> {
    const from = await this.ownerOf(channel);
    const { id } = (await this.members()).find(({ port }) => port === from.port)!;
    const { port } = (await this.members()).find(({ master }) => master === id)!;
    await this.call(
      this.servers.find((server) => server.port === port)!,
      'CLUSTER',
      'FAILOVER',
    );
    await this.#moved(channel, from);
    await this.settled();
  }

  /** Kills the master. Its replica takes over. */
  async kill(master: RedisServer, channel: string): Promise<void> {
    this.#down.add(master);
    await master.kill();
    await this.#moved(channel, master);
  }

  /** Suspends the master. Its replica takes over. */
  async hang(master: RedisServer, channel: string): Promise<void> {
    this.#down.add(master);
    master.signal('SIGSTOP');
    await this.#moved(channel, master);
  }

  /** Restarts or resumes a master that hung or was killed. */
  async bringBack(server: RedisServer): Promise<void> {
    if (server.isRunning) server.signal('SIGCONT');
    else await server.start();
    this.#down.delete(server);
    await this.settled();
  }

  /** A killed master restarts empty and unknown to the cluster, and becomes a replica. */
  async replace(server: RedisServer, channel: string): Promise<void> {
    const id = await this.idOf(server);
    for (const other of this.#up) await this.call(other, 'CLUSTER', 'FORGET', id);
    server.erase();
    await server.start();
    await this.call(server, 'CLUSTER', 'RESET', 'HARD');
    const master = await this.ownerOf(channel);
    const { id: masterId, bus } = (await this.members()).find(({ port }) => port === master.port)!;
    await this.call(server, 'CLUSTER', 'MEET', '127.0.0.1', master.port, bus);
    const members = () => this.members(server);
    await until(members, ({ length }) => length === this.servers.length);
    await this.call(server, 'CLUSTER', 'REPLICATE', masterId);
    this.#down.delete(server);
    await this.settled();
  }

  /** Resolves once all running servers agree, and every master has its replica. */
  async settled(): Promise<void> {
    for (const server of this.#up) {
      const isWell = async () => {
        const info = String(await this.call(server, 'CLUSTER', 'INFO'));
        const replication = String(await this.call(server, 'INFO', 'replication'));
        const members = await this.members(server);
        const knowsAll = members.length === this.servers.length;
        const isUp = info.includes('cluster_state:ok') && !replication.includes('master_link_status:down');
        return knowsAll && isUp && !members.some(({ flags }) => /fail|handshake/.test(flags));
      };
      await until(isWell);
    }
  }

  /** A master that does not have the channel. */
  async otherThanOwnerOf(channel: string): Promise<RedisServer> {
    const owner = await this.ownerOf(channel);
    return (await this.masters()).find((master) => master !== owner)!;
  }

  /** Starts to migrate the slot of a channel. */
  async migrate(channel: string, to: RedisServer): Promise<Migration> {
    const slot = slotOf(channel);
    const from = await this.ownerOf(channel);
    const [fromId, toId] = [await this.idOf(from), await this.idOf(to)];
    await this.call(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await this.call(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    const carry = (key: string) => this.call(from, 'MIGRATE', '127.0.0.1', to.port, key, 0, 5_000);
    const end = async (pauseMs = 0) => {
      for (;;) {
        await sleep(pauseMs);
        const [key] = (await this.call(from, 'CLUSTER', 'GETKEYSINSLOT', slot, 1)) as string[];
        if (key === undefined) break;
        await carry(key);
      }
      for (const server of [to, from, ...(await this.masters())]) {
        await this.call(server, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
      }
    };
    return { from, to, carry, end };
  }

  /** Migrates the slot of a channel, key by key. @param pauseMs between two steps */
  async move(channel: string, to: RedisServer, pauseMs = 0): Promise<void> {
    const { end } = await this.migrate(channel, to);
    await end(pauseMs);
  }

  /** Connections of the module to each of the servers, by their names. */
  async connections(): Promise<string[][]> {
    const lists = this.servers.map((server) => this.call(server, 'CLIENT', 'LIST'));
    return (await Promise.all(lists)).map((list) =>
      [...String(list).matchAll(/ name=sse:(\w+)/g)].map(([, name]) => name!),
    );
  }

  async #moved(channel: string, from: RedisServer): Promise<void> {
    await until(
      () => this.ownerOf(channel),
      (owner) => owner !== undefined && owner !== from,
    );
  }
}

/** The slot of a channel, with `sse:` as prefix. */
export const slotOf = (channel: string): number => calculateSlot(`sse:{${channel}}:history`);

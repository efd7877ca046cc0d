import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { RedisSseBroker } from '../../src/broker/redis.broker.js';
import { checkPublication } from '../../src/event.js';
import { HISTORY_DEFAULTS } from '../../src/sse.options.js';
import type { SseError } from '../../src/sse.errors.js';
import { Proxy } from '../support/proxy.js';
import { freePort, type RedisServer, startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { HoppingClient } from './client.js';
import { Random } from './random.js';

/** Long enough that nothing is trimmed while the rig runs: then every reset needs another cause. */
const HISTORY = { ...HISTORY_DEFAULTS, maxEvents: 1_000_000, maxAgeMs: 3_600_000, explicit: true };
const CHANNELS = ['a', 'b', 'c'];

/** What became of one call of `publish()`. */
export interface Outcome {
  readonly channel: string;
  readonly data: string;
  id?: string;
  error?: SseError;
}

interface Node {
  readonly process: ChildProcess;
  readonly port: number;
  readonly proxy: Proxy;
  stderr: string;
}

/** Real processes under faults: Redis, applications behind proxies, publishers and clients. All chance is of the seed. */
export class Rig {
  readonly random: Random;
  readonly outcomes: Outcome[] = [];
  readonly clients: HoppingClient[] = [];
  readonly nodes: Node[] = [];
  readonly publisherProxies: Proxy[] = [];
  readonly problems: string[] = [];
  server!: RedisServer;
  admin!: Redis;
  readonly #brokers: RedisSseBroker[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  #publishing = true;
  #count = 0;

  constructor(
    readonly seed: number,
    private readonly redisArgs: readonly string[],
  ) {
    this.random = new Random(seed);
  }

  async start({ nodes = 2, publishers = 2, clients = 18 } = {}): Promise<void> {
    this.server = await startRedis(this.redisArgs);
    this.admin = this.server.admin({ maxRetriesPerRequest: 10_000 });
    for (let n = 0; n < nodes; n++) await this.startNode();
    for (let n = 0; n < publishers; n++) {
      const proxy = await Proxy.start(this.server.port);
      this.publisherProxies.push(proxy);
      const broker = new RedisSseBroker(proxy.url, 'sse:', HISTORY);
      this.#brokers.push(broker);
      void this.#publish(broker, n);
    }
    const ports = () => this.nodes.map(({ port }) => port);
    for (let n = 0; n < clients; n++) {
      const random = new Random(this.seed * 1_000 + n);
      this.clients.push(new HoppingClient(CHANNELS[n % CHANNELS.length]!, ports, random));
    }
  }

  get proxies(): Proxy[] {
    return [...this.nodes.map(({ proxy }) => proxy), ...this.publisherProxies];
  }

  /** A replica that has not got the last events takes over, and the master is gone. */
  async failOver(lagMs: number): Promise<void> {
    const link = await Proxy.start(this.server.port);
    const replica = await startRedis(this.redisArgs);
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

  async startNode(port?: number): Promise<void> {
    const proxy = await Proxy.start(this.server.port);
    const { maxEvents, maxAgeMs } = HISTORY;
    const history = JSON.stringify({
      maxEvents,
      maxAgeMs,
      maxReplayEvents: 1_000_000,
      maxReplayBytes: 2 ** 30,
    });
    const args = ['test/chaos/node.js', proxy.url, history, `${port ?? (await freePort())}`];
    const process = spawn('node', ['--trace-warnings', '--unhandled-rejections=strict', ...args]);
    const [line] = (await once(process.stdout, 'data')) as [Buffer];
    const node = { process, proxy, port: Number(line), stderr: '' };
    process.stderr.on('data', (chunk: Buffer) => (node.stderr += chunk.toString()));
    process.on('exit', (code, signal) => {
      if (signal !== 'SIGKILL') this.problems.push(`A node ended by itself, with ${code}: ${node.stderr}`);
    });
    this.nodes.push(node);
  }

  /** Everything heals, one last event goes to each channel, and every client gets it. */
  async settle(): Promise<void> {
    this.#publishing = false;
    await Promise.allSettled(this.#pending);
    for (const client of this.clients) client.settle();
    await until(() => this.#brokers.every(({ connected }) => connected), Boolean, 20_000);
    for (const channel of CHANNELS) {
      await until(
        async () => (await this.#send(this.#brokers[0]!, 0, channel)).id !== undefined,
        Boolean,
        20_000,
      );
    }
    const chains = await this.chains();
    const late = () =>
      this.clients
        .filter(({ channel, lastEventId }) => lastEventId !== chains.get(channel)!.at(-1)!.id)
        .map(({ channel, lastEventId, deliveries }) => ({ channel, lastEventId, count: deliveries.length }));
    await until(late, ({ length }) => length === 0, 60_000);
  }

  /** What Redis has in the end. */
  async chains(): Promise<Map<string, { id: string; data: string }[]>> {
    const chains = new Map<string, { id: string; data: string }[]>();
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

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    for (const { process } of this.nodes) process.kill('SIGKILL');
    await Promise.all(this.#brokers.map((broker) => broker.close()));
    for (const proxy of this.proxies) proxy.close();
    this.admin.disconnect();
  }

  async #publish(broker: RedisSseBroker, publisher: number): Promise<void> {
    const random = new Random(this.seed * 77 + publisher);
    while (this.#publishing) {
      for (let left = random.below(8); left >= 0; left--) {
        const sending = this.#send(broker, publisher, random.of(CHANNELS), random.next() < 0.2);
        this.#pending.add(sending);
        void sending.finally(() => this.#pending.delete(sending));
      }
      await sleep(random.between(1, 20));
    }
  }

  async #send(broker: RedisSseBroker, publisher: number, channel: string, own = false): Promise<Outcome> {
    const number = this.#count++;
    const outcome: Outcome = { channel, data: `${publisher} ${number}` };
    this.outcomes.push(outcome);
    try {
      const options = own ? { id: `own-${number}` } : {};
      outcome.id = await broker.publish(channel, checkPublication(outcome.data, options, 1_000));
    } catch (error) {
      outcome.error = error as SseError;
    }
    return outcome;
  }
}

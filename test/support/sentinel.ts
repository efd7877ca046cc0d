import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach } from '@jest/globals';
import { Redis, type RedisOptions } from 'ioredis';
import { freePort } from './port.js';
import { type RedisServer, startRedis } from './redis.js';
import { until } from './until.js';

const NAME = 'events';
/** How long a master may be silent before the sentinels count it as failed. */
const DOWN_AFTER_MS = 1_000;

const running = new Set<Sentinels>();

/** A master, two replicas, and three sentinels, each in a separate process. */
export class Sentinels {
  readonly #dir = mkdtempSync(join(tmpdir(), 'sse-sentinel-'));
  readonly #processes: ChildProcess[] = [];

  private constructor(
    readonly servers: readonly RedisServer[],
    private readonly ports: readonly number[],
  ) {
    running.add(this);
    const [master] = servers;
    for (const port of ports) {
      const file = join(this.#dir, `${port}.conf`);
      const monitor = `sentinel monitor ${NAME} 127.0.0.1 ${master!.port} 2`;
      const settings = [`down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`, `failover-timeout ${NAME} 5000`];
      const lines = [`port ${port}`, monitor, ...settings.map((each) => `sentinel ${each}`)];
      writeFileSync(file, [...lines, ''].join('\n'));
      this.#processes.push(
        spawn('redis-server', [file, '--sentinel', '--dir', this.#dir], { stdio: 'ignore' }),
      );
    }
  }

  /** Starts all of them. They are stopped after the test. @param settings of the servers */
  static async start(settings: readonly string[] = []): Promise<Sentinels> {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'];
    args.push(...settings);
    const master = await startRedis(args);
    const replicate = ['--replicaof', '127.0.0.1', `${master.port}`];
    const replicas = await Promise.all([1, 2].map(() => startRedis([...args, ...replicate])));
    const ports = await Promise.all([1, 2, 3].map(() => freePort()));
    const sentinels = new Sentinels([master, ...replicas], ports);
    await sentinels.settled();
    return sentinels;
  }

  /** The options for an application. */
  get options(): RedisOptions {
    return { sentinels: this.ports.map((port) => ({ host: '127.0.0.1', port })), name: NAME };
  }

  /** A client of the current master. */
  admin(): Redis {
    const admin = new Redis({ ...this.options, failoverDetector: true, maxRetriesPerRequest: 10_000 });
    return admin.on('error', () => undefined);
  }

  /** The master that the sentinels name. */
  async master(): Promise<RedisServer> {
    const port = await this.#ask(async (sentinel) => {
      const [, text] = (await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[];
      return Number(text);
    });
    return this.servers.find((server) => server.port === port)!;
  }

  /** Resolves once all sentinels know both replicas and each other. */
  async settled(): Promise<void> {
    for (const port of this.ports) {
      const state = () =>
        this.#ask(async (sentinel) => {
          const text = String(await sentinel.call('SENTINEL', 'MASTER', NAME));
          const field = (name: string) => Number(new RegExp(`${name},(\\d+)`).exec(text)?.[1]);
          return [field('num-slaves'), field('num-other-sentinels')].join();
        }, port);
      await until(state, (counts) => counts === '2,2');
    }
  }

  /** A failover by an operator. */
  async failOver(): Promise<void> {
    const from = await this.master();
    await until(() =>
      this.#ask((sentinel) =>
        sentinel.call('SENTINEL', 'FAILOVER', NAME).then(
          () => true,
          () => false,
        ),
      ),
    );
    await this.moved(from);
    await this.settled();
  }

  /** Resolves once another server is the master. */
  async moved(from: RedisServer): Promise<void> {
    await until(
      () => this.master(),
      (master) => master !== from,
    );
  }

  async stop(): Promise<void> {
    running.delete(this);
    const exits = this.#processes.map(async (child) => {
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    });
    await Promise.all(exits);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** A client of the sentinel that applications query first. */
  signal(signal: NodeJS.Signals): void {
    this.#processes[0]!.kill(signal);
  }

  async #ask<T>(question: (sentinel: Redis) => Promise<T>, port = this.ports.at(-1)!): Promise<T> {
    const sentinel = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 100, retryStrategy: () => 50 });
    sentinel.on('error', () => undefined);
    try {
      return await question(sentinel);
    } finally {
      sentinel.disconnect();
    }
  }
}

afterEach(async () => {
  await Promise.all([...running].map((sentinels) => sentinels.stop()));
});

// ioredis keeps a timer for 2 s after it disconnects from dead sentinels. Jest would force the worker to exit.
afterAll(() => sleep(2_100));

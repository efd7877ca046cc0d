import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { Redis } from 'ioredis';
import { freePort } from './port.js';

/** The Redis that all tests share, with the rights of docs/redis.md. Each test uses its own prefix. */
export const redisUrl = (): string => process.env.TEST_REDIS_URL!;

/** The same Redis with all rights. */
export const adminUrl = (): string => redisUrl().replace(/\/\/.*@/, '//');

export const randomPrefix = (): string => `test-${randomUUID()}:`;

/**
 * Environment variables that change the clock of a program: libfaketime, which reads its setting every second. libc is loaded
 * before jemalloc, because jemalloc reads the time before it can allocate memory for libfaketime.
 */
const FAKETIME = {
  LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1:libc.so.6',
  FAKETIME_CACHE_DURATION: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  FAKETIME_DONT_RESET: '1',
};

/** Another server has used one of its ports since the check. */
class PortTakenError extends Error {}

/** A redis-server process for one test. */
export class RedisServer {
  #process: ChildProcess | undefined;

  constructor(
    readonly port: number,
    private readonly dir: string,
    private readonly args: readonly string[] = [],
    private readonly ownClock = false,
  ) {
    if (ownClock) this.setClock(0);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Shifts the clock of the server, within 1 s. Only for a server that was started with `ownClock`. */
  setClock(seconds: number): void {
    writeFileSync(join(this.dir, 'clock'), `${seconds < 0 ? '' : '+'}${seconds}`);
  }

  async start(...more: readonly string[]): Promise<void> {
    const args = [
      '--port',
      `${this.port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      this.dir,
      '--save',
      '',
      ...this.args,
      ...more,
    ];
    const clock = { ...FAKETIME, FAKETIME_TIMESTAMP_FILE: join(this.dir, 'clock') };
    const env = this.ownClock ? { ...process.env, ...clock } : process.env;
    this.#process = spawn('redis-server', args, { stdio: 'ignore', env });
    const admin = this.admin({ retryStrategy: () => 20 });
    const reading = admin.info('server').catch(() => undefined);
    const info = await Promise.race([reading, once(this.#process, 'exit')]);
    admin.disconnect();
    const isOwn = typeof info === 'string' && info.includes(`process_id:${this.#process.pid}\r\n`);
    if (!isOwn) throw new PortTakenError(`${args.join(' ')} does not start`);
  }

  /** A client to inspect the server, and to cause faults. */
  admin(options = {}): Redis {
    return new Redis(this.url, { maxRetriesPerRequest: 500, ...options }).on('error', () => undefined);
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** SIGKILL: the server saves no data, and closes no connection properly. */
  async kill(): Promise<void> {
    const exited = once(this.#process!, 'exit');
    this.#process!.kill('SIGKILL');
    await exited;
  }

  /** The same, and its stored data is deleted. */
  async killAndErase(): Promise<void> {
    await this.kill();
    this.erase();
  }

  /** Deletes its stored data while it is not running. */
  erase(): void {
    rmSync(join(this.dir, 'appendonlydir'), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    if (this.isRunning) await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const servers = new Set<RedisServer>();
/** The number of starts that may fail because other tests use the ports. */
const MAX_ATTEMPTS = 10;

/** Starts a server. It is stopped after the test unless it should outlive the test. */
export async function startRedis(
  args: readonly string[] | (() => Promise<readonly string[]>) = [],
  { ownClock = false, outlivesTest = false } = {},
): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    const dir = mkdtempSync(join(tmpdir(), 'sse-redis-'));
    const given = typeof args === 'function' ? await args() : args;
    const server = new RedisServer(await freePort(), dir, given, ownClock);
    if (!outlivesTest) stopAfterTest(server);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      if (!(error instanceof PortTakenError) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

export function stopAfterTest(server: RedisServer): void {
  servers.add(server);
}

afterEach(async () => {
  await Promise.all([...servers].map((server) => server.stop()));
  servers.clear();
});

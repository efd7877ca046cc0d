import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { Redis } from 'ioredis';
import { freePort } from './port.js';

/** The Redis that all tests share, with the rights that docs/redis.md asks for; each keeps to a prefix of its own. */
export const redisUrl = (): string => process.env.TEST_REDIS_URL!;

/** The same, with every right. */
export const adminUrl = (): string => redisUrl().replace(/\/\/.*@/, '//');

export const randomPrefix = (): string => `test-${randomUUID()}:`;

/**
 * What gives a program another clock: libfaketime, read anew every second. libc comes before jemalloc, which asks for
 * the time before it can serve what libfaketime needs for an answer.
 */
const FAKETIME = {
  LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1:libc.so.6',
  FAKETIME_CACHE_DURATION: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  FAKETIME_DONT_RESET: '1',
};

/** Another server has taken one of its ports since they were found free. */
class PortTakenError extends Error {}

/** A redis-server process of a test's own. */
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

  /** Sets the clock of the server off the machine's, within 1 s. Only where it was started with a clock of its own. */
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

  /** A client for looking at the server, and for doing to it what happens to servers. */
  admin(options = {}): Redis {
    return new Redis(this.url, { maxRetriesPerRequest: 500, ...options }).on('error', () => undefined);
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** SIGKILL: nothing is saved, and nobody is told. */
  async kill(): Promise<void> {
    const exited = once(this.#process!, 'exit');
    this.#process!.kill('SIGKILL');
    await exited;
  }

  /** The same, and what it had stored is gone. */
  async killAndErase(): Promise<void> {
    await this.kill();
    this.erase();
  }

  /** What it had stored, while it is not running. */
  erase(): void {
    rmSync(join(this.dir, 'appendonlydir'), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    if (this.isRunning) await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const servers = new Set<RedisServer>();
/** Starts that may fail because other tests take the ports. */
const MAX_ATTEMPTS = 10;

/** Starts a server; it is stopped after the test, unless it is to outlive it. */
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

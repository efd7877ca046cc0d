import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { kill } from 'node:process';
import type { SseModuleOptions } from '../../src/options/sse.options.js';
import { Proxy } from '../support/proxy.js';
import { eventually } from '../support/until.js';
import { proxyOf, redisOf, type Way } from './way.js';

/** The open resources of a node. */
export interface Resources {
  readonly connections: number;
  readonly channels: number;
  readonly sockets: number;
  /** In bytes. */
  readonly rss: number;
  /** Since its start. */
  readonly cpuMs: number;
  /** The longest block of its event loop since the previous call. */
  readonly stallMs: number;
}

/** The memory of a node after a garbage collection. */
export interface Memory {
  /** In bytes, as `rss`. */
  readonly heap: number;
  readonly rss: number;
}

/** An application in its own process. */
export class Node {
  private constructor(
    private readonly process: ChildProcess,
    readonly port: number,
    private readonly way: Way,
    /** Its error output if it crashed or ended by itself. `undefined` if it was killed or shut down cleanly. */
    readonly ended: Promise<string | undefined>,
  ) {}

  static async start(way: Way, options: SseModuleOptions): Promise<Node> {
    const flags = ['--trace-warnings', '--unhandled-rejections=strict', '--expose-gc'];
    const process = spawn('node', [
      ...flags,
      'test/chaos/app.js',
      JSON.stringify({ redis: redisOf(way), ...options }),
    ]);
    let stderr = '';
    process.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(process, 'exit').then(([code, signal]) =>
      signal === 'SIGKILL' || (process.killed && code === 0)
        ? undefined
        : `with ${code ?? signal}: ${stderr}`,
    );
    const port = await Promise.race([once(process.stdout, 'data').then(([line]) => Number(line)), ended]);
    if (typeof port !== 'number') throw new Error(`A node ended during the start ${port}`);
    return new Node(process, port, way, ended);
  }

  /** Its proxy to Redis, if there is only one server. */
  get proxy(): Proxy {
    return proxyOf(this.way);
  }

  resources(): Promise<Resources> {
    return this.ask('/resources');
  }

  memory(): Promise<Memory> {
    return this.ask('/memory');
  }

  /** @throws Error for a status other than 2xx */
  async ask<T>(path: string, method = 'GET'): Promise<T> {
    return JSON.parse(await this.#request(path, method)) as T;
  }

  /** Includes timers that do not keep the process alive. */
  async timers(): Promise<number> {
    return Number(await this.#request('/timers'));
  }

  /** Blocks its event loop. */
  async block(ms: number): Promise<void> {
    await this.#request(`/block/${Math.floor(ms)}`);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    // `ChildProcess.kill()` would mark the process as killed.
    kill(this.process.pid!, signal);
  }

  /** Sends SIGTERM, and waits until the process has ended. */
  async end(): Promise<void> {
    this.process.kill('SIGTERM');
    await eventually('The shutdown of a node', this.ended);
    this.#close();
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    this.#close();
    await this.ended;
  }

  #close(): void {
    if (this.way instanceof Proxy) this.way.close();
  }

  async #request(path: string, method = 'GET'): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: { connection: 'close' },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    return text;
  }
}

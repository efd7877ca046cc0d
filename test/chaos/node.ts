import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { SseHistoryOptions } from '../../src/sse.options.js';
import type { Proxy } from '../support/proxy.js';

/** What a node has open. */
export interface Resources {
  readonly streams: number;
  readonly channels: number;
  readonly sockets: number;
  /** In bytes. */
  readonly rss: number;
}

/** An application as a process of its own, which gets to Redis through a proxy. */
export class Node {
  private constructor(
    private readonly process: ChildProcess,
    readonly port: number,
    readonly proxy: Proxy,
    /** What it said when it ended by itself; `undefined` when it was killed. */
    readonly ended: Promise<string | undefined>,
  ) {}

  static async start(proxy: Proxy, history: SseHistoryOptions): Promise<Node> {
    const flags = ['--trace-warnings', '--unhandled-rejections=strict'];
    const process = spawn('node', [...flags, 'test/chaos/app.js', proxy.url, JSON.stringify(history)]);
    let stderr = '';
    process.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(process, 'exit').then(([code, signal]) =>
      signal === 'SIGKILL' ? undefined : `with ${code}: ${stderr}`,
    );
    const port = await Promise.race([once(process.stdout, 'data').then(([line]) => Number(line)), ended]);
    if (typeof port !== 'number') throw new Error(`A node did not start, and ended ${port}`);
    return new Node(process, port, proxy, ended);
  }

  async resources(): Promise<Resources> {
    return JSON.parse(await this.#get('/resources')) as Resources;
  }

  /** Keeps its event loop busy. */
  async block(ms: number): Promise<void> {
    await this.#get(`/block/${Math.floor(ms)}`);
  }

  kill(): void {
    this.process.kill('SIGKILL');
    this.proxy.close();
  }

  async #get(path: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      headers: { connection: 'close' },
    });
    return response.text();
  }
}

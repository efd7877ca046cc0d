import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect } from 'node:tls';
import { afterEach } from '@jest/globals';
import { StreamClient } from './client.js';
import { freePort } from './port.js';
import { until, within } from './until.js';

const [cert, key] = ['cert.pem', 'key.pem'].map((name) => resolve('test/support/tls', name)) as [
  string,
  string,
];
const ca = readFileSync(cert);

/** Where nginx keeps what it cannot hold; the package's directories are root's. */
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`);

/** What differs on every machine: ports, certificates, where a program may write, and how many files it may open. */
const PROXIES = {
  nginx: {
    args: (config: string) => ['-p', join(config, '..'), '-c', config, '-e', 'stderr', '-g', 'daemon off; pid pid;'],
    quit: 'SIGQUIT',
    changes: (port: number) => ({
      'http {': `http {\n access_log off; ${TEMP_PATHS.join(' ')}`,
      'listen 443': `listen 127.0.0.1:${port}`,
      '/etc/nginx/app.crt': cert,
      '/etc/nginx/app.key': key,
    }),
  },
  haproxy: {
    args: (config: string) => ['-db', '-f', config],
    quit: 'SIGUSR1',
    changes: (port: number, dir: string) => ({
      'maxconn 32768': 'maxconn 100',
      'bind :443': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/app.pem': join(dir, 'app.pem'),
    }),
  },
} as const;

export type ProxyName = keyof typeof PROXIES;

export const proxyNames = Object.keys(PROXIES) as ProxyName[];

const running = new Set<ReverseProxy>();

/** nginx or HAProxy as a process of its own, with the configuration of docs/proxies.md. */
export class ReverseProxy {
  output = '';
  #process!: ChildProcess;

  private constructor(
    private readonly name: ProxyName,
    private readonly port: number,
    private readonly dir: string,
  ) {
    running.add(this);
  }

  /**
   * Starts it in front of applications, of which there may be one or two; it is stopped after the test.
   *
   * @param changes what else of the configuration is to be something else
   */
  static async start(
    name: ProxyName,
    urls: readonly string[],
    changes: Record<string, string> = {},
  ): Promise<ReverseProxy> {
    const proxy = new ReverseProxy(name, await freePort(), mkdtempSync(join(tmpdir(), 'sse-proxy-')));
    const { dir, port } = proxy;
    const [first, second = first] = urls.map((url) => new URL(url).host);
    const servers = { '127.0.0.1:3001': first!, '127.0.0.1:3002': second! };
    writeFileSync(join(dir, 'app.pem'), Buffer.concat([ca, readFileSync(key)]));
    writeFileSync(
      join(dir, 'proxy.conf'),
      configuration(name, { ...changes, ...PROXIES[name].changes(port, dir), ...servers }),
    );
    await proxy.#run();
    return proxy;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Opens a stream over HTTP/1.1; resolves when the head is there. */
  connect(path: string, headers: Record<string, string> = {}, localAddress?: string): Promise<StreamClient> {
    return within(
      10_000,
      `The head of ${path}`,
      new Promise((resolve, reject) => {
        const options = { headers, agent: false, ca, localAddress };
        const request = get(`${this.url}${path}`, options, (response) =>
          resolve(new StreamClient(request, response)),
        );
        request.on('error', reject);
      }),
    );
  }

  /** Ends it as a reload does, with open streams, and starts it anew. */
  async restart(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill(PROXIES[this.name].quit);
    await within(5_000, `The end of ${this.name}`, exited);
    await this.#run();
  }

  /** With its workers. */
  stop(): void {
    try {
      process.kill(-this.#process.pid!, 'SIGKILL');
    } catch {
      // It has ended.
    }
    rmSync(this.dir, { recursive: true, force: true });
    running.delete(this);
  }

  async #run(): Promise<void> {
    const started = spawn(this.name, PROXIES[this.name].args(join(this.dir, 'proxy.conf')), { detached: true });
    this.#process = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    const isUp = () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(this.port, '127.0.0.1', { ca }, () => (socket.destroy(), resolve(true)));
        socket.on('error', () => resolve(false));
      });
    await until(async () => started.exitCode !== null || (await isUp()));
    if (started.exitCode !== null) throw new Error(`${this.name} has ended:\n${this.output}`);
  }
}

/** The very block of the document, with changes, each of which has to be one. */
function configuration(name: ProxyName, changes: Record<string, string>): string {
  const block = new RegExp(`^\`\`\`${name}\n([^]*?)^\`\`\``, 'm').exec(readFileSync('docs/proxies.md', 'utf8'))![1]!;
  return Object.entries(changes).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`docs/proxies.md has no "${from}" for ${name}`);
    return text.replaceAll(from, to);
  }, block);
}

afterEach(() => {
  for (const proxy of running) proxy.stop();
});

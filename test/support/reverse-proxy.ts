import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { get as getSecurely } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { SseClient } from './client.js';
import { freePort } from './port.js';
import { eventually, until } from './until.js';

const CERTIFICATES = join(process.cwd(), 'test/support/tls');
const [cert, key] = [join(CERTIFICATES, 'cert.pem'), join(CERTIFICATES, 'key.pem')];
const ca = readFileSync(cert);

/** Temporary directories of nginx. Those of the package belong to root. */
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
  (name) => `${name}_temp_path ${name};`,
);

/** Settings that depend on the machine: ports, certificates, writable directories, and the limit of open files. */
const PROXIES = {
  nginx: {
    args: (dir: string) => `-p ${dir} -c proxy.conf -e stderr -g`.split(' ').concat('daemon off; pid pid;'),
    quit: 'SIGQUIT',
    changes: (port: number) => ({
      'http {': `http {\n access_log off; ${TEMP_PATHS.join(' ')}`,
      'listen 443': `listen 127.0.0.1:${port}`,
      '/etc/nginx/app.crt': cert,
      '/etc/nginx/app.key': key,
    }),
  },
  haproxy: {
    args: (dir: string) => ['-db', '-f', join(dir, 'proxy.conf')],
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

/** nginx or HAProxy as a separate process, with the configuration of docs/proxies.md. */
export class ReverseProxy {
  #output = '';
  #process!: ChildProcess;

  private constructor(
    private readonly name: ProxyName,
    private readonly dir: string,
    readonly url: string,
  ) {
    running.add(this);
  }

  /**
   * Starts it in front of one or two applications. It is stopped after the test.
   *
   * @param changes further replacements in the configuration
   */
  static async start(
    name: ProxyName,
    [first, second = first]: string[],
    changes: Record<string, string> = {},
  ): Promise<ReverseProxy> {
    const [port, dir] = [await freePort(), mkdtempSync(join(tmpdir(), 'sse-proxy-'))];
    const servers = { '127.0.0.1:3001': new URL(first!).host, '127.0.0.1:3002': new URL(second!).host };
    const text = configuration(name, { ...PROXIES[name].changes(port, dir), ...servers, ...changes });
    writeFileSync(join(dir, 'proxy.conf'), text);
    writeFileSync(join(dir, 'app.pem'), Buffer.concat([ca, readFileSync(key)]));
    const proxy = new ReverseProxy(
      name,
      dir,
      `${/ ssl\b/.test(text) ? 'https' : 'http'}://127.0.0.1:${port}`,
    );
    await proxy.#run();
    return proxy;
  }

  /** Opens an event stream over HTTP/1.1. Resolves once the response headers have arrived. */
  connect(path: string, headers: Record<string, string> = {}, localAddress?: string): Promise<SseClient> {
    return eventually(
      `The head of ${path}`,
      new Promise((resolve, reject) => {
        const options = { headers, agent: false, ca, localAddress };
        const open = this.url.startsWith('https') ? getSecurely : get;
        const request = open(`${this.url}${path}`, options, (response) =>
          resolve(new SseClient(request, response)),
        );
        request.on('error', reject);
      }),
    );
  }

  /** Stops it as a reload does, with open connections, and starts it again. */
  async restart(): Promise<void> {
    await this.#end(PROXIES[this.name].quit);
    await this.#run();
  }

  async stop(): Promise<void> {
    running.delete(this);
    await this.#end('SIGTERM');
    rmSync(this.dir, { recursive: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill(signal);
    await eventually(`The end of ${this.name}`, exited);
  }

  async #run(): Promise<void> {
    const child = spawn(this.name, PROXIES[this.name].args(this.dir));
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    }
    await until(async () => child.exitCode !== null || (await isListening(this.url)));
    if (child.exitCode !== null) throw new Error(`${this.name} has ended:\n${this.#output}`);
  }
}

function isListening(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

/** The block of the document with the changes. Each change must apply. */
function configuration(name: ProxyName, changes: Record<string, string>): string {
  const block = new RegExp(`^\`\`\`${name}\n([^]*?)^\`\`\``, 'm').exec(
    readFileSync('docs/proxies.md', 'utf8'),
  )![1]!;
  const missing = Object.keys(changes).filter((from) => !block.includes(from));
  if (missing.length > 0) throw new Error(`docs/proxies.md has no ${missing.join()} for ${name}`);
  // In one step, so that a replacement is not replaced again.
  const all = Object.keys(changes).map((from) => from.replace(/[^\w ]/g, String.raw`\$&`));
  return block.replace(new RegExp(all.join('|'), 'g'), (from) => changes[from]!);
}

afterEach(async () => {
  await Promise.all([...running].map((proxy) => proxy.stop()));
});

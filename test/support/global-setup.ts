import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Programs that the tests run. */
const PROGRAMS = ['redis-server', 'chromium', 'faketime', 'nginx', 'haproxy', 'curl', 'python3'];

export type Shared = typeof globalThis & { testRedis?: ChildProcess };

/** Installs missing programs, builds the code that tests start as processes, and starts the shared Redis. */
export default async function setup(): Promise<void> {
  // Debian installs servers here, which may be missing in a user's PATH.
  process.env.PATH += ':/usr/sbin';
  installMissing(PROGRAMS);
  build();
  // Every process of the tests inherits it, so that the teardown finds remaining processes.
  process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'sse-tests-'));
  await startSharedRedis();
}

/** Without type checks, which `npm run lint` does. */
function build(): void {
  execFileSync('npm', ['run', '--silent', 'build', '--', '--noCheck'], { stdio: 'inherit' });
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'sample/tsconfig.json', '--noCheck'];
  execFileSync('node', tsc, { stdio: 'inherit' });
}

const isMissing = (program: string) => spawnSync('which', [program]).status !== 0;

/** Installs the programs that are missing. Debian's packages have the same names. */
export function installMissing(programs: readonly string[]): void {
  const missing = programs.filter(isMissing);
  if (missing.length > 0) install(missing);
}

function install(packages: string[]): void {
  const command = ['apt-get', 'install', '--yes', ...packages];
  if (process.getuid?.() !== 0 || isMissing('apt-get')) {
    throw new Error(
      `The tests need ${packages.join(' and ')}: install it (on Debian: sudo ${command.join(' ')}) and run them again`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const output = [['update'], command.slice(1)].map((args) => {
    const { stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    return `${stdout}${stderr}`;
  });
  // apt-get also fails if the service of a package does not start. The tests start their own servers.
  if (packages.some(isMissing)) throw new Error(`${command.join(' ')} failed:\n${output.join('')}`);
}

async function startSharedRedis(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'sse-redis-'));
  // Below the port range of outgoing connections, which could use the port.
  const port = randomInt(10_000, 32_000);
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', ''];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  for (let attempt = 0; spawnSync('redis-cli', ['-p', `${port}`, 'ping']).status !== 0; attempt++) {
    if (attempt > 100) throw new Error(`redis-server does not answer on port ${port}`);
    await sleep(50);
  }
  await sleep(50);
  // Another server uses this port.
  if (server.exitCode !== null) return startSharedRedis();
  (globalThis as Shared).testRedis = server;
  // The user of docs/redis.md, with the prefixes of the tests added.
  const user = /^ACL SETUSER app .*$/m.exec(readFileSync('docs/redis.md', 'utf8'))![0].split(' ');
  const { stdout } = spawnSync('redis-cli', [
    '-p',
    `${port}`,
    ...user,
    '~test-*',
    '~{test-*',
    '&test-*',
    '~{!disconnect}:*',
    '&!disconnect',
  ]);
  if (stdout.toString() !== 'OK\n') throw new Error(`redis-server refuses the user: ${stdout.toString()}`);
  process.env.TEST_REDIS_URL = `redis://app:secret@127.0.0.1:${port}/0`;
}

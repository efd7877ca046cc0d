import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Shared } from './global-setup.js';

/** How long processes may take to exit after a signal. */
const PATIENCE_MS = 10_000;

/** Stops the Redis that the tests share, and fails the run if a test has left a process. */
export default async function teardown(): Promise<void> {
  const { testRedis } = globalThis as Shared;
  // The setup has failed.
  if (!testRedis) return;
  const exited = once(testRedis, 'exit');
  testRedis.kill('SIGKILL');
  await exited;
  const dir = tmpdir();
  let left = processesOf(dir);
  for (let waited = 0; left.length > 0 && waited < PATIENCE_MS; waited += 100) {
    await sleep(100);
    left = processesOf(dir);
  }
  rmSync(dir, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`The tests have left processes running:\n${left.join('\n')}`);
}

/** Other processes that work in a temporary directory of the tests, or have inherited it, as far as the system shows it. */
function processesOf(dir: string): string[] {
  if (!existsSync('/proc/self/environ')) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.flatMap((pid) => {
    try {
      // redis-server overwrites its environment with its title.
      const isOurs =
        readlinkSync(`/proc/${pid}/cwd`).startsWith(dir) ||
        readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`TMPDIR=${dir}`);
      return isOurs ? [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`] : [];
    } catch {
      // The process has ended, or belongs to another user.
      return [];
    }
  });
}

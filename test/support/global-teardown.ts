import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Shared } from './global-setup.js';

/** How long processes may take to end that were told to. */
const PATIENCE_MS = 10_000;

/** Stops the Redis that the tests share, and fails the run if a test has left a process. */
export default async function teardown(): Promise<void> {
  const shared = (globalThis as Shared).testRedis;
  if (shared) {
    const exited = once(shared.process, 'exit');
    shared.process.kill('SIGKILL');
    await exited;
    rmSync(shared.dir, { recursive: true, force: true });
  }
  let left = processesOf(process.env.TEST_RUN);
  for (let waited = 0; left.length > 0 && waited < PATIENCE_MS; waited += 100) {
    await sleep(100);
    left = processesOf(process.env.TEST_RUN);
  }
  if (left.length > 0) throw new Error(`The tests have left processes running:\n${left.join('\n')}`);
}

/** Other processes of a run, where the system shows their environments. */
function processesOf(run: string | undefined): string[] {
  if (run === undefined || !existsSync('/proc/self/environ')) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.flatMap((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`TEST_RUN=${run}`)) return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`];
    } catch {
      // It has ended, or belongs to another user.
      return [];
    }
  });
}

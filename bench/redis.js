/** A redis-server for one bench, and its cost. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export async function startRedis(port, more = []) {
  const dir = mkdtempSync(join(tmpdir(), 'sse-bench-'));
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...more];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  while (spawnSync('redis-cli', ['-p', `${port}`, 'ping']).status !== 0) await sleep(50);
  const url = `redis://127.0.0.1:${port}/0`;
  const admin = new Redis(url);
  const info = async (section, field) =>
    Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(await admin.info(section))?.[1]);
  return {
    url,
    admin,
    /** CPU seconds of the server so far. */
    cpu: async () => (await info('cpu', 'used_cpu_user')) + (await info('cpu', 'used_cpu_sys')),
    memory: () => info('memory', 'used_memory'),
    /** Script calls so far. */
    scripts: async () =>
      [...(await admin.info('commandstats')).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
        (sum, [, calls]) => sum + Number(calls),
        0,
      ),
    stop() {
      admin.disconnect();
      server.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export const say = (text) => process.stdout.write(`${text}\n`);

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)], min: sorted[0], max: sorted.at(-1) };
}

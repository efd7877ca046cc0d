/**
 * The command line: a million lines through `sse publish --ndjson`, and the cost of a start.
 *
 *   npm run build && node bench/cli.bench.js [lines]
 *
 * It starts its own redis-server. It writes lines only as fast as the program reads them, and checks number and order of the
 * printed ids. Memory is the kernel's high-water mark of the process (VmHWM), read until the process ends.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const LINES = Number(process.argv[2] ?? 1_000_000);
const PORT = 46_379;
const CLI = 'dist/integrations/cli/main.js';

const dir = mkdtempSync(join(tmpdir(), 'sse-bench-'));
const redis = spawn(
  'redis-server',
  ['--port', `${PORT}`, '--bind', '127.0.0.1', '--dir', dir, '--save', ''],
  {
    stdio: 'ignore',
  },
);
while (spawnSync('redis-cli', ['-p', `${PORT}`, 'ping']).status !== 0) await sleep(50);

function* lines(count) {
  for (let n = 0; n < count; n++)
    yield `{"n":${n},"text":"a line of about a hundred bytes, as logs have them, more or less"}\n`;
}

function isAfter(id, last) {
  const [ms, n] = id.split('-').map(Number);
  const after = ms > last.ms || (ms === last.ms && n > last.n);
  Object.assign(last, { ms, n });
  return after;
}

async function publish(count) {
  const env = { ...process.env, SSE_REDIS_URL: `redis://127.0.0.1:${PORT}/0` };
  const start = process.hrtime.bigint();
  const cli = spawn('node', [CLI, 'sse', 'publish', '--ndjson'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  Readable.from(lines(count)).pipe(cli.stdin);
  let peak = 0;
  const watch = setInterval(() => {
    const match = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${cli.pid}/status`, 'utf8'));
    if (match) peak = Number(match[1]) / 1024;
  }, 100);
  cli.on('exit', () => clearInterval(watch));
  let ids = 0;
  const last = { ms: 0, n: 0 };
  for await (const id of createInterface({ input: cli.stdout })) {
    if (!isAfter(id, last)) throw new Error(`Out of order: ${id}`);
    ids++;
  }
  if (ids !== count) throw new Error(`Expected ${count} ids, got ${ids}`);
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, peak };
}

function startUp(name, args) {
  const times = Array.from({ length: 7 }, () => {
    const start = process.hrtime.bigint();
    spawnSync('node', args);
    return Number(process.hrtime.bigint() - start) / 1e6;
  }).toSorted((a, b) => a - b);
  const [min, median, max] = [times[0], times[3], times[6]].map(Math.round);
  process.stdout.write(`| ${name} | ${median} ms (${min}–${max}) |\n`);
}

const say = (text) => process.stdout.write(`${text}\n`);

try {
  say('| Lines | Time | Lines/s | Peak memory |\n| ---: | ---: | ---: | ---: |');
  for (const count of [LINES / 100, LINES / 10, LINES]) {
    const { seconds, peak } = await publish(count);
    say(`| ${count} | ${seconds.toFixed(1)} s | ${Math.round(count / seconds)} | ${Math.round(peak)} MiB |`);
  }
  say('\n| Start of | Median of 7 |\n| --- | ---: |');
  startUp('Node.js with nothing', ['-e', '0']);
  startUp('`@nestjs/common` and `@nestjs/core`', [
    '--input-type=module',
    '-e',
    "await import('@nestjs/common'); await import('@nestjs/core')",
  ]);
  startUp('the same and `nestjs-sse-channels`', [
    '--input-type=module',
    '-e',
    "await import('@nestjs/common'); await import('@nestjs/core'); await import('nestjs-sse-channels')",
  ]);
  startUp('`nest-cli --version`', [CLI, '--version']);
} finally {
  redis.kill();
  rmSync(dir, { recursive: true, force: true });
}

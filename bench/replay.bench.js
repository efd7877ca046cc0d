/**
 * Clients that come back: 1,000 of them with the same 100 events missed, to a node that does not hold those.
 *
 *   npm run build && node bench/replay.bench.js [clients] [missed] [rounds]
 *
 * The node is a process of its own (`replay.node.js`, started anew for each round, and warmed up by as many clients on another
 * channel); this process connects all clients at once with the id they had, and checks that each gets exactly what it
 * missed. Timed from the first connection to the last event of the last client; reads are Redis's own count of script
 * calls. Beside it, the same clients with one event missed: what connecting costs without what is replayed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { median, say, startRedis } from './redis.js';

const [CLIENTS, MISSED, ROUNDS] = [1_000, 100, 5].map((value, n) => Number(process.argv[n + 2] ?? value));
const agent = new Agent({ maxSockets: Infinity });
const redis = await startRedis(16_381);
const context = await NestFactory.createApplicationContext(SseModule.forRoot(redis.url), { logger: false });
const sse = context.get(SseService);

function comeBack({ port, channel, ids }) {
  const [id, ...expected] = ids;
  return new Promise((resolve, reject) => {
    const request = get(
      { port, path: `/${channel}`, agent, headers: { 'last-event-id': id } },
      (response) => {
        const chunks = [];
        const last = `id: ${expected.at(-1)}\n`;
        response.on('data', (chunk) => {
          chunks.push(chunk);
          if (!chunk.includes(last)) return;
          request.destroy();
          const ids = Buffer.concat(chunks)
            .toString()
            .match(/^id: .*$/gm);
          if (ids.length === expected.length && ids.every((line, n) => line === `id: ${expected[n]}`))
            resolve();
          else reject(new Error(`Wrong events: ${ids}`));
        });
      },
    );
    request.on('error', reject);
  });
}

async function round() {
  const node = spawn('node', ['bench/replay.node.js', redis.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = await once(node.stdout, 'data');
    const port = Number(line);
    const crowd = async (channel, missed) => {
      const ids = [];
      for (let n = 0; n <= missed; n++)
        ids.push(await sse.publish({ n, text: 'x'.repeat(100) }, { channel }));
      await redis.admin.config('RESETSTAT');
      const [redisCpu, start] = [await redis.cpu(), process.hrtime.bigint()];
      await Promise.all(Array.from({ length: CLIENTS }, () => comeBack({ port, channel, ids })));
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      return { seconds, reads: await redis.scripts(), redis: ((await redis.cpu()) - redisCpu) * 1_000 };
    };
    await crowd('warm-up', MISSED);
    const connecting = await crowd('connecting', 1);
    return { ...(await crowd('missed', MISSED)), connecting: connecting.seconds };
  } finally {
    node.kill();
  }
}

try {
  const runs = [];
  for (let n = 1; n <= ROUNDS; n++) {
    process.stderr.write(`round ${n} of ${ROUNDS}\n`);
    runs.push(await round());
  }
  say(`| ${CLIENTS} clients, ${MISSED} events each | Median of ${ROUNDS} (range) |\n| --- | ---: |`);
  const row = (name, key, digits) => {
    const { median: middle, min, max } = median(runs.map((run) => run[key]));
    say(`| ${name} | ${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)}) |`);
  };
  row('all served, s', 'seconds', 2);
  row('the same with one event each, s', 'connecting', 2);
  row('reads of Redis', 'reads', 0);
  row('CPU of Redis, ms', 'redis', 1);
} finally {
  await context.close();
  redis.stop();
}

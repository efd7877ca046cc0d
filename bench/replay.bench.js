/**
 * 1,000 clients reconnect after they missed the same 100 events, to a node that does not buffer these events.
 *
 *   npm run build && node bench/replay.bench.js [clients] [missed] [rounds]
 *
 * The node is a separate process (`replay.node.js`, restarted for each round, and warmed up by the same number of clients on another
 * channel). This process connects all clients at once with their last id, and checks that each gets exactly the missed
 * events. The time is from the first connection to the last event of the last client. Reads are script calls, counted by
 * Redis. For comparison, the same clients miss one event: the cost of connecting alone.
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
  row('all served by a node that buffers none of them, s', 'seconds', 2);
  row('the same with one event each: the cost of connecting alone, s', 'connecting', 2);
  row('reads of Redis', 'reads', 0);
  row('CPU of Redis, ms', 'redis', 1);
} finally {
  await context.close();
  redis.stop();
}

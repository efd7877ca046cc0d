/**
 * Publishes 20,000 events of 1 kB as fast as Redis accepts them, to 190 clients that read and 10 that do not: many more than a server
 * can send in that time. With a history of 30,000 events, and with the default of 1,000.
 *
 *   npm run build && node bench/behind.bench.js
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from './fanout/ipc.js';
import { redisPublisher } from './fanout/publisher.js';
import { say, startRedis } from './redis.js';

const [CLIENTS, SILENT, EVENTS] = [190, 10, 20_000];
const plan = {
  topology: 'one',
  clients: CLIENTS,
  turns: EVENTS,
  rate: undefined,
  window: Infinity,
  size: 1_000,
};
/** A server that delivers nothing for this time has finished. */
const QUIET_MS = 5_000;

const residentMiB = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

const redis = await startRedis(16_386);

async function measure(history) {
  await redis.admin.flushall();
  const server = await start('../floods/server.js', { redis: redis.url, limit: 1_000, history });
  const load = await start('load.js');
  const attacker = await start('../floods/attacker.js');
  const publisher = await redisPublisher(redis, 'sse-channels');
  const idle = residentMiB(server.pid);
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, residentMiB(server.pid))), 50);
  try {
    await load.call('open', { port: server.port, plan, clients: CLIENTS });
    await load.call('expect', { progress: EVENTS });
    void attacker.call('flood', 'silence', { port: server.port, ms: 100, count: SILENT });
    await sleep(500);
    const began = performance.now();
    await publisher.run(plan);
    const published = performance.now() - began;
    let stats = await server.call('stats');
    for (let since = performance.now(), seen = 0; performance.now() - since < QUIET_MS;) {
      await sleep(200);
      stats = await server.call('stats');
      if (stats.delivered !== seen) [seen, since] = [stats.delivered, performance.now()];
    }
    const took = performance.now() - began - QUIET_MS;
    const { lost, repeated, disordered, closed } = await load.call('faults', [0, EVENTS]);
    const resets = stats.resets.lost + stats.resets.limit;
    return {
      history: history ? history.maxEvents : 1_000,
      published: (published / 1_000).toFixed(1),
      took: (took / 1_000).toFixed(1),
      closed,
      slow: stats.slow,
      behind: stats.behind ?? '–',
      resets,
      faults: `${lost} / ${repeated + disordered}`,
      memory: `${idle.toFixed(0)} → ${peak.toFixed(0)}`,
    };
  } finally {
    clearInterval(timer);
    publisher.close();
    for (const child of [attacker, load, server]) await child.stop();
  }
}

say(
  '| History | Published in, s | Delivered in, s | Readers closed | Slow | Behind | Resets | Lost / repeated | Memory, MiB |',
);
say('| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const history of [{ maxEvents: 30_000 }, undefined])
  say(`| ${Object.values(await measure(history)).join(' | ')} |`);
redis.stop();

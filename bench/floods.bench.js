/**
 * The effect of several kinds of floods on a server and on its regular clients: 200 clients that get 50 events of 2 kB
 * a second, for 10 s each.
 *
 *   npm run build && node bench/floods.bench.js
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from './fanout/ipc.js';
import { expectedOf } from './fanout/plan.js';
import { redisPublisher } from './fanout/publisher.js';
import { say, startRedis } from './redis.js';

const SECONDS = 10;
const LIMIT = 1_000;
const KINDS = ['nobody', 'connections', 'resumes', 'authorizations', 'slowloris', 'silence'];
const plan = { topology: 'one', clients: 200, turns: 50 * SECONDS, rate: 50, window: 100, size: 2_000 };

const residentMiB = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
const micros = ({ user, system }) => user + system;

const redis = await startRedis(16_385);

async function measure(kind) {
  await redis.admin.flushall();
  const server = await start('../floods/server.js', { redis: redis.url, limit: LIMIT });
  const load = await start('load.js');
  const attacker = await start('../floods/attacker.js');
  const publisher = await redisPublisher(redis, 'sse-channels');
  load.onNotice((deliveries) => publisher.confirm(deliveries));
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, residentMiB(server.pid))), 50);
  try {
    await load.call('open', { port: server.port, plan, clients: plan.clients });
    await load.call('expect', { progress: 1 });
    // The history that the attacker requests.
    const past = { ...plan, turns: 1_000, rate: undefined, window: Infinity };
    await publisher.run(past);
    await load.call('drained', expectedOf(past));
    await sleep(1_000);
    const id = (await redis.admin.xrange('sse:{all}:history', '-', '+', 'COUNT', 1))[0][0];
    const before = {
      redis: await redis.cpu(),
      scripts: await redis.scripts(),
      cpu: micros(await server.call('cpu')),
    };
    const idle = peak;
    peak = 0;
    await load.call('expect', { progress: 1_000, timed: true });
    const settings = { port: server.port, ms: SECONDS * 1_000, id };
    const expected = expectedOf(plan);
    const published = publisher.run(plan);
    published.catch(() => undefined);
    const [done] = await Promise.all([
      attacker.call('flood', kind, settings),
      load.call('drained', expected),
    ]);
    publisher.confirm(Infinity);
    await published;
    const { p50, p99 } = await load.call('latencies');
    const { lost, repeated, disordered, closed } = await load.call('faults', expected);
    const { refused, slow } = await server.call('stats');
    const percent = (value) => `${((value / SECONDS) * 100).toFixed(0)} %`;
    return {
      kind,
      done,
      refused,
      slow,
      p50: p50.toFixed(1),
      p99: p99.toFixed(1),
      faults: lost + repeated + disordered + closed,
      memory: `${idle.toFixed(0)} → ${peak.toFixed(0)}`,
      server: percent((micros(await server.call('cpu')) - before.cpu) / 1e6),
      redis: percent((await redis.cpu()) - before.redis),
      // Each publication is also a script call.
      reads: ((await redis.scripts()) - before.scripts - plan.turns) / SECONDS,
    };
  } finally {
    clearInterval(timer);
    publisher.close();
    for (const child of [attacker, load, server]) await child.stop();
  }
}

say(
  '| Flood | Attempts | Refused | Slow | Clients’ p50, ms | p99, ms | Faults | Memory, MiB | Server CPU | Redis CPU | Reads/s |',
);
say('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const kind of process.argv[2]?.split(',') ?? KINDS)
  say(`| ${Object.values(await measure(kind)).join(' | ')} |`);
redis.stop();

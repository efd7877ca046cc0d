/**
 * What `writeIntervalMs` saves and delays: CPU of the server and latency for 1,000 subscribers of a channel, at several rates of events.
 *
 *   npm run build && node bench/write-interval.bench.js [rounds] [seconds]
 *
 * `@SseChannel()` on Fastify; a server and clients of `fanout` for each interval. In a round, all intervals are measured one after the
 * other at each rate. The clients check every event.
 */
import { Stage } from './fanout/stage.js';
import { median, say } from './redis.js';

const ROUNDS = Number(process.argv[2] ?? 5);
const SECONDS = Number(process.argv[3] ?? 4);
const RATES = [10, 50, 200, 1_000];
const INTERVALS = [0, 20, 50, 100];
const FAULTS = ['lost', 'repeated', 'disordered', 'closed'];

async function open(writeIntervalMs) {
  const plan = { topology: 'one', clients: 1_000 };
  const stage = await Stage.set('sse-channels-fastify', { writeIntervalMs });
  await stage.open(plan);
  await stage.live(plan);
  await stage.play({ ...plan, turns: 100 });
  return stage;
}

async function measure(stage, rate, interval) {
  // Without an interval a server may not keep up: fewer events then take as long.
  const turns = Math.min(rate * SECONDS, interval > 0 ? Infinity : 200);
  // Half a second of events may be in flight before the publisher waits for a slow server.
  const plan = { topology: 'one', clients: 1_000, turns, rate, window: Math.max(20, rate / 2) };
  await stage.memory();
  const results = await stage.play(plan, { timed: true });
  const faults = FAULTS.filter((name) => results[name] > 0);
  if (faults.length > 0) throw new Error(`${faults.join()} at ${rate} events/s with ${interval} ms`);
  return { ...results, events: plan.turns / results.seconds };
}

const stages = new Map();
for (const interval of INTERVALS) stages.set(interval, await open(interval));
const runs = new Map();
for (let round = 1; round <= ROUNDS; round++) {
  for (const rate of RATES) {
    for (const [interval, stage] of stages) {
      const results = await measure(stage, rate, interval);
      const key = `${rate} ${interval}`;
      runs.set(key, [...(runs.get(key) ?? []), results]);
      const { cpu, p50, p99, events } = results;
      const values = [cpu, p50, p99, events].map((value) => value.toFixed(1));
      process.stderr.write(`${round}/${ROUNDS} ${rate} events/s, ${interval} ms: ${values.join(' ')}\n`);
    }
  }
}
for (const stage of stages.values()) await stage.stop();

const cell = (values, digits) => {
  const { median: middle, min, max } = median(values);
  return `${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
};
say(
  '| Events/s | `writeIntervalMs` | Server CPU, µs per delivery | to 0 ms | Writes per delivery | p50, ms | p99, ms | Published per second |',
);
say('| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const rate of RATES) {
  const zero = runs.get(`${rate} 0`);
  for (const interval of INTERVALS) {
    const all = runs.get(`${rate} ${interval}`);
    const of = (key) => all.map((results) => results[key]);
    const ratio = median(all.map(({ cpu }, round) => cpu / zero[round].cpu)).median;
    const cells = [
      rate,
      interval,
      cell(of('cpu'), 2),
      `${ratio.toFixed(2)}×`,
      median(of('writes')).median.toFixed(2),
      cell(of('p50'), 1),
      cell(of('p99'), 1),
      median(of('events')).median.toFixed(0),
    ];
    say(`| ${cells.join(' | ')} |`);
  }
}

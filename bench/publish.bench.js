/**
 * Publishing from one process: events per second, and the cost of an event for this process and Redis, compared with a plain
 * PUBLISH of the same message by ioredis.
 *
 *   npm run build && node bench/publish.bench.js [events] [rounds]
 *
 * Each round runs every variant once, with history (1,000 events, 10 minutes), and with 256 publications in flight; of lists, as many as
 * have about 2,000 events, at least two. It checks at the end of each run that the channel has the last event.
 */
import { readFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { median, say, startRedis } from './redis.js';

const EVENTS = Number(process.argv[2] ?? 200_000);
const ROUNDS = Number(process.argv[3] ?? 5);
const IN_FLIGHT = 256;

const redis = await startRedis(16_380);
const context = await NestFactory.createApplicationContext(SseModule.forRoot(redis.url), { logger: false });
const sse = context.get(SseService);
const data = { n: 1, text: 'an event of about a hundred bytes, as applications have them, more or less' };
const message = JSON.stringify({ data, event: null, id: null, retry: null });
let count = 0;

// Without comments, as the module sends it.
const script = readFileSync('src/broker/redis/publish.lua', 'utf8').replaceAll(/^\s*(--.*)?\n/gm, '');
const hash = await redis.admin.script('LOAD', script);
const keys = ['history', 'meta', 'ids', 'ids:old'].map((name) => `raw:{kept}:${name}`);
const args = () => ['raw:kept', message.replace('"id":null,', ''), '', `12345678${count++}`, 5, '', ''];

/** A list for `publishAll()`. */
const listOf = (length, eventOf) => Array.from({ length }, eventOf);
const kept = () => ({ channel: 'kept', data });
const all = (events) => sse.publishAll(events).then((ids) => ids.at(-1));

const WAYS = {
  '`PUBLISH` by ioredis': () => redis.admin.publish('plain', message),
  'the script with its text (`EVAL`)': () => redis.admin.eval(script, 4, ...keys, ...args()),
  'the script by its hash (`EVALSHA`)': () => redis.admin.evalsha(hash, 4, ...keys, ...args()),
  '`publish()` with history': () => sse.publish(data, { channel: 'kept' }),
  '`publish()` with an id': () => sse.publish(data, { channel: 'ids', id: `own${count++}` }),
  '`publish()` with an idempotency key': () =>
    sse.publish(data, { channel: 'keys', idempotencyKey: `key${count++}` }),
  '`publish()`, transient': () => sse.publish(data, { channel: 'transient', transient: true }),
  '`publishAll()` of 10 with history': [10, () => all(listOf(10, kept))],
  '`publishAll()` of 100 with history': [100, () => all(listOf(100, kept))],
  '`publishAll()` of 1,000 with history': [1_000, () => all(listOf(1_000, kept))],
  '`publishAll()` of 100 in 10 channels': [
    100,
    () => all(listOf(100, (_, n) => ({ channel: `channel${n % 10}`, data }))),
  ],
  '`publishAll()` of 100 in 100 channels': [
    100,
    () => all(listOf(100, (_, n) => ({ channel: `channel${n}`, data }))),
  ],
  '`publishAll()` of 100 with an id': [
    100,
    () => all(listOf(100, () => ({ channel: 'ids', data, id: `own${count++}` }))),
  ],
  '`publishAll()` of 100 with an idempotency key': [
    100,
    () => all(listOf(100, () => ({ channel: 'keys', data, idempotencyKey: `key${count++}` }))),
  ],
  '`publishAll()` of 100, transient': [
    100,
    () => all(listOf(100, () => ({ channel: 'transient', data, transient: true }))),
  ],
};

async function measure(way) {
  const [size, publish] = Array.isArray(way) ? way : [1, way];
  const inFlight = size === 1 ? IN_FLIGHT : Math.max(2, 2_000 / size);
  await redis.admin.flushall();
  const [redisCpu, cpu, start] = [await redis.cpu(), process.cpuUsage(), process.hrtime.bigint()];
  let left = EVENTS / size;
  let last;
  const loop = async () => {
    while (left-- > 0) last = await publish();
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  const perEvent = (micros) => micros / EVENTS;
  return {
    last,
    rate: EVENTS / seconds,
    process: perEvent(user + system),
    redis: perEvent(((await redis.cpu()) - redisCpu) * 1e6),
  };
}

const results = Object.fromEntries(Object.keys(WAYS).map((way) => [way, []]));
try {
  for (let round = 0; round <= ROUNDS; round++) {
    process.stderr.write(`round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up)' : ''}\n`);
    for (const [way, publish] of Object.entries(WAYS)) {
      const result = await measure(publish);
      if (way.includes('history')) {
        const [[cursor]] = await redis.admin.xrevrange('sse:{kept}:history', '+', '-', 'COUNT', 1);
        if (cursor !== result.last)
          throw new Error(`Expected ${result.last} to be the last event, got ${cursor}`);
      }
      if (round > 0) results[way].push(result);
    }
  }
  say('| | Events/s | Redis, µs per event | Process, µs per event |\n| --- | ---: | ---: | ---: |');
  const show = (values, digits) => {
    const { median: middle, min, max } = median(values);
    return `${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
  };
  for (const [way, runs] of Object.entries(results)) {
    const cell = (key, digits) =>
      show(
        Array.from(runs, (run) => run[key]),
        digits,
      );
    say(`| ${way} | ${cell('rate', 0)} | ${cell('redis', 1)} | ${cell('process', 1)} |`);
  }
  say('\nIn the same round, against `publish()` with history:\n');
  say('| | Events/s | Redis, CPU time | Process, CPU time |\n| --- | ---: | ---: | ---: |');
  const base = results['`publish()` with history'];
  for (const [way, runs] of Object.entries(results).filter(([name]) => name.includes('publishAll'))) {
    const cell = (key) =>
      show(
        Array.from(runs, (run, round) => run[key] / base[round][key]),
        2,
      );
    say(`| ${way} | × ${cell('rate')} | × ${cell('redis')} | × ${cell('process')} |`);
  }
} finally {
  await context.close();
  redis.stop();
}

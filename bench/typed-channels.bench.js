/**
 * What typed channels cost `publish()`: CPU time of this process for each event, on the in-memory broker, where nothing else takes time.
 *
 *   npm run build && node bench/typed-channels.bench.js [events] [rounds] [the dist/index.js of another build]
 *
 * Each round runs every variant once, in batches of 1,000 calls. With another build, which needs the same node_modules, events without a schema are
 * published by both.
 */
import { pathToFileURL } from 'node:url';
import { NestFactory } from '@nestjs/core';
import { type as ark } from 'arktype';
import * as own from 'nestjs-sse-channels';
import * as v from 'valibot';
import { z } from 'zod';
import { median, say } from './redis.js';

const EVENTS = Number(process.argv[2] ?? 200_000);
const ROUNDS = Number(process.argv[3] ?? 5);
const BATCH = 1_000;
const other = process.argv[4] ? await import(pathToFileURL(process.argv[4]).href) : undefined;

const context = (build) =>
  NestFactory.createApplicationContext(build.SseModule.forRoot({ history: { maxEvents: 10 } }), {
    logger: false,
  });
const contexts = [await context(own), ...(other ? [await context(other)] : [])];
const sse = contexts[0].get(own.SseService);
const before = contexts[1]?.get(other.SseService);

const object = z.object({ amount: z.number(), text: z.string() });
const orders = own.defineChannel('order:{id}', {
  unchecked: own.type(),
  zod: object,
  async: object.refine(async () => true),
  valibot: v.object({ amount: v.number(), text: v.string() }),
  arktype: ark({ amount: 'number', text: 'string' }),
});
const data = {
  amount: 5,
  text: 'an event of about a hundred bytes, as applications have them, more or less',
};
const order = orders({ id: 7 });

const WAYS = {
  '`publish(data, { channel, type })`': () => sse.publish(data, { channel: 'order:7', type: 'paid' }),
  ...(before && {
    'the same, the other build': () => before.publish(data, { channel: 'order:7', type: 'paid' }),
  }),
  'a typed channel, `type<T>()`': () => sse.publish(order, 'unchecked', data),
  'the same, named for each event': () => sse.publish(orders({ id: 7 }), 'unchecked', data),
  'a schema of zod': () => sse.publish(order, 'zod', data),
  'a schema of valibot': () => sse.publish(order, 'valibot', data),
  'a schema of arktype': () => sse.publish(order, 'arktype', data),
  'an asynchronous schema of zod': () => sse.publish(order, 'async', data),
};

async function measure(publish) {
  const start = process.cpuUsage();
  for (let n = 0; n < EVENTS; n += BATCH) await Promise.all(Array.from({ length: BATCH }, publish));
  const { user, system } = process.cpuUsage(start);
  return (user + system) / EVENTS;
}

const results = Object.fromEntries(Object.keys(WAYS).map((way) => [way, []]));
for (let round = 0; round <= ROUNDS; round++) {
  process.stderr.write(`round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up)' : ''}\n`);
  // Each begins a round in turn: it is measured with the garbage of the one before.
  const ways = Object.entries(WAYS);
  for (const [way, publish] of [...ways.slice(round % ways.length), ...ways.slice(0, round % ways.length)]) {
    const micros = await measure(publish);
    if (round > 0) results[way].push(micros);
  }
}
const first = Object.values(results)[0];
say('| | CPU per event, µs | to the first line |\n| --- | ---: | ---: |');
for (const [way, runs] of Object.entries(results)) {
  const { median: middle, min, max } = median(runs);
  const { median: ratio } = median(runs.map((run, n) => run / first[n]));
  say(`| ${way} | ${middle.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)}) | ${ratio.toFixed(2)} |`);
}
for (const one of contexts) await one.close();

/**
 * What the start of a connection and the ways to consume events cost: `position()` for Redis and for the process; one event
 * through `events()` and through `messages()`; and 1,000 connections that begin at once with the last 100 events.
 *
 *   npm run build && node bench/events.bench.js [rounds]
 *
 * Events of 100 bytes, with history, over Redis. The ways take turns in each round.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from '../dist/index.js';
import { median, say, startRedis } from './redis.js';

const ROUNDS = Number(process.argv[2] ?? 5);
const POSITIONS = 10_000;
const EVENTS = 20_000;
const CONNECTIONS = 1_000;
const LAST = 100;
const DATA = 'x'.repeat(100);

const redis = await startRedis(16_391);
const options = { redis: redis.url, prefix: 'bench:', limits: { connections: 100_000 } };
const context = await NestFactory.createApplicationContext(SseModule.forRoot(options), { logger: false });
const sse = context.get(SseService);
const cpuMs = () => process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000;

/** Microseconds of Redis and of this process for each of `count`. */
async function costOf(count, work) {
  const [before, own] = [await redis.cpu(), cpuMs()];
  await work();
  return { redis: (((await redis.cpu()) - before) * 1e6) / count, process: ((cpuMs() - own) * 1e3) / count };
}

const positions = () =>
  costOf(POSITIONS, async () => {
    for (let n = 0; n < POSITIONS; n += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, m) => sse.position(`p${(n + m) % 1_000}`)));
    }
  });

/** Publishes and consumes in one process: the difference between the ways is that of the consumers. */
const consuming = (consume) =>
  costOf(EVENTS, async () => {
    const done = consume();
    await sleep(100);
    for (let n = 0; n < EVENTS; n += 200) {
      await Promise.all(Array.from({ length: 200 }, () => sse.publish(DATA, { channel: 'all' })));
    }
    await done;
  });

const WAYS = {
  'events()': async () => {
    let left = EVENTS;
    for await (const _ of sse.events('all')) if (--left === 0) break;
  },
  'messages()': () =>
    new Promise((resolve) => {
      let left = EVENTS;
      const subscription = sse.messages('all').subscribe(() => {
        if (--left > 0) return;
        setImmediate(() => subscription.unsubscribe());
        resolve();
      });
    }),
};

/** Connections that begin at once. Each round has a channel of its own, so that nothing is in memory. */
async function starts(channel) {
  for (let n = 0; n < LAST; n++) await sse.publish(DATA, { channel });
  const before = await redis.scripts();
  const start = performance.now();
  const spent = await costOf(CONNECTIONS, () =>
    Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        let left = LAST;
        for await (const _ of sse.events(channel, { from: { last: LAST } })) if (--left === 0) break;
      }),
    ),
  );
  return { ...spent, ms: performance.now() - start, reads: (await redis.scripts()) - before };
}

try {
  const results = { 'position()': [], 'events()': [], 'messages()': [], starts: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    process.stderr.write(`round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up)' : ''}\n`);
    const keep = (name, result) => round > 0 && results[name].push(result);
    keep('position()', await positions());
    for (const [name, way] of Object.entries(WAYS)) keep(name, await consuming(way));
    keep('starts', await starts(`start${round}`));
  }
  const of = (name, key) => {
    const { median: middle, min, max } = median(results[name].map((result) => result[key]));
    return `${middle.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`;
  };
  say('| Work | µs of Redis | µs of the process |\n| --- | ---: | ---: |');
  say(`| \`position()\` of one channel | ${of('position()', 'redis')} | ${of('position()', 'process')} |`);
  for (const name of Object.keys(WAYS)) {
    say(
      `| an event, published and consumed by \`${name}\` | ${of(name, 'redis')} | ${of(name, 'process')} |`,
    );
  }
  say(
    `| a connection with \`from: { last: ${LAST} }\` (${CONNECTIONS} at once) | ${of('starts', 'redis')} | ${of('starts', 'process')} |`,
  );
  say(
    `\nThe ${CONNECTIONS} connections took ${of('starts', 'ms')} ms and ${of('starts', 'reads')} script calls.`,
  );
} finally {
  await context.close();
  redis.stop();
}

/**
 * The cost of opening a connection, and of disconnecting some, with few and with many stored disconnections and open
 * connections: ratios of two applications in one run, without HTTP and Redis.
 *
 *   npm run build && node bench/disconnect.bench.js [stored and open] [rounds]
 */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from '../dist/index.js';
import { median } from './redis.js';

const MANY = Number(process.argv[2] ?? 20_000);
const ROUNDS = Number(process.argv[3] ?? 7);
const CALLS = 200;

async function start(count) {
  const options = { limits: { connections: 10_000_000 } };
  const app = await NestFactory.createApplicationContext(SseModule.forRoot(options), { logger: false });
  const sse = app.get(SseService);
  for (let n = 0; n < count; n++) {
    sse.messages(`channel:${n % 100}`, { user: `u${n}`, session: `s${n}` }).subscribe();
    await sse.disconnect({ user: `gone${n}`, channel: `channel:${n % 100}` }, { refuseMs: 3_600_000 });
  }
  return { app, sse };
}

async function micros(call) {
  const { user, system } = process.cpuUsage();
  for (let n = 0; n < CALLS; n++) await call(n);
  const spent = process.cpuUsage();
  return (spent.user + spent.system - user - system) / CALLS;
}

const work = {
  'open and close a connection': (sse, n) =>
    sse
      .messages('channel:1', { user: `new${n}`, session: `new${n}` })
      .subscribe()
      .unsubscribe(),
  'disconnect a user': (sse, n) => sse.disconnect({ user: `nobody${n}` }),
  'disconnect a session': (sse, n) => sse.disconnect({ session: `none${n}` }),
  'disconnect a user from a channel': (sse, n) => sse.disconnect({ user: `u${n}`, channel: 'elsewhere' }),
  'disconnect a connection': (sse) => sse.disconnect({ connection: 'none' }),
};

const [few, many] = [await start(20), await start(MANY)];
console.log(`| µs of CPU per call | 20 stored and open | ${MANY} | ratio |\n| --- | ---: | ---: | ---: |`);
for (const [name, call] of Object.entries(work)) {
  const [small, large] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    small.push(await micros((n) => call(few.sse, n)));
    large.push(await micros((n) => call(many.sse, n)));
  }
  const ratio = median(large.map((value, n) => value / small[n])).median;
  console.log(
    `| ${name} | ${median(small).median.toFixed(0)} | ${median(large).median.toFixed(0)} | ${ratio.toFixed(2)} |`,
  );
}
await Promise.all([few, many].map(({ app }) => app.close()));

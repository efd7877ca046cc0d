/**
 * What streams of an AI's tokens cost, over one Redis and without readers:
 *
 * - streams of one process at 100 tokens/s each, beside one `publish()` per token: all of them, and a fifth;
 * - the time that a producer of 2,000 tokens takes, with and without a stream, and with a round trip of 0 and 50 ms to Redis;
 * - the memory of Redis for 1,000, 10,000 and 100,000 tokens.
 *
 *   npm run build && node bench/streams.bench.js [streams] [rounds]
 *
 * The ways take turns in each round, and have the same tokens and the same pace. From the CPU of each, that of the pace alone is
 * subtracted. It checks that each stream ends as `done`, and that Redis has the last token of the last channel.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService, SseStreams } from '../dist/index.js';
import { median, say, startRedis } from './redis.js';
import { bytesOf, produce, token } from './tokens.js';

const ALL = Number(process.argv[2] ?? 500);
const ROUNDS = Number(process.argv[3] ?? 5);
const SOME = Math.ceil(ALL / 5);
const PORT = 16_393;
/** Tokens per second and stream, and seconds. */
const [RATE, SECONDS] = [100, 4];
const PRODUCED = 2_000;
/** Publications in flight above which the pace waits: a process may be too slow for one per token. */
const MAX_PENDING = 5_000;
/** After this time, Redis has freed what it needed to execute commands. */
const SETTLE_MS = 500;

const redis = await startRedis(PORT);

async function open(url) {
  const module = SseModule.forRoot({ redis: url, prefix: 'bench:' });
  const context = await NestFactory.createApplicationContext(module, { logger: ['error'] });
  return { context, sse: context.get(SseService), streams: context.get(SseStreams) };
}

async function finish(writers) {
  for (const { status, reason } of await Promise.all(writers.map((writer) => writer.end()))) {
    if (status !== 'done') throw new Error(`Expected each stream to end as done, got ${status}, ${reason}`);
  }
}

const cpuUs = () => process.cpuUsage().user + process.cpuUsage().system;

/**
 * Calls `write(channel, n)` in turn for all channels, spread evenly over the time.
 *
 * @param isFull whether to wait. @returns seconds
 */
async function paced(channels, write, isFull) {
  const [count, start] = [channels * RATE * SECONDS, performance.now()];
  const elapsed = () => (performance.now() - start) / 1_000;
  for (let done = 0; done < count;) {
    await sleep(1);
    const due = Math.min(count, elapsed() * channels * RATE);
    for (; done < due && !isFull(); done++) write(done % channels, Math.floor(done / channels));
  }
  return elapsed();
}

/** The cost of each token. @param stored resolves when everything is stored */
async function costOf(channels, write, stored = async () => undefined, isFull = () => false) {
  const [memory, scripts] = [await redis.memory(), await redis.scripts()];
  const [server, own] = [await redis.cpu(), cpuUs()];
  const seconds = await paced(channels, write, isFull);
  await stored();
  const [ownUs, serverUs] = [cpuUs() - own, ((await redis.cpu()) - server) * 1e6];
  const calls = (await redis.scripts()) - scripts;
  await sleep(SETTLE_MS);
  const tokens = channels * RATE * SECONDS;
  return {
    rate: tokens / seconds / channels,
    scripts: calls / channels / seconds,
    redis: serverUs / tokens,
    process: ownUs / tokens,
    memory: ((await redis.memory()) - memory) / tokens,
  };
}

async function streaming({ streams }, channels) {
  const ids = Array.from({ length: channels }, (_, n) => `s${n}`);
  const writers = await Promise.all(ids.map((id) => streams.open(id)));
  const write = (channel, n) => writers[channel].write(token(n));
  return costOf(channels, write, () => finish(writers));
}

async function publishing({ sse }, channels) {
  const failures = [];
  let pending = 0;
  const publish = (channel, n) => {
    pending++;
    const done = sse.publish(token(n), { channel: `s${channel}` });
    void done.catch((error) => failures.push(error)).finally(() => pending--);
  };
  const stored = async () => {
    while (pending > 0) await sleep(1);
  };
  const cost = await costOf(channels, publish, stored, () => pending > MAX_PENDING);
  if (failures.length > 0) throw new Error(`${failures.length} publications failed`, { cause: failures[0] });
  return cost;
}

/** The last entry of the last channel has the last token. */
async function check(channels) {
  const key = `bench:{s${channels - 1}}:history`;
  const entries = await redis.admin.xrevrange(key, '+', '-', 'COUNT', 3);
  const { delta } = token(RATE * SECONDS - 1);
  if (!JSON.stringify(entries).includes(delta)) throw new Error(`Expected ${delta} in the last entries`);
}

const WAYS = {
  [`${SOME} streams`]: [SOME, streaming],
  [`${SOME} channels, one \`publish()\` per token`]: [SOME, publishing],
  [`${ALL} streams`]: [ALL, streaming],
  [`${ALL} channels, one \`publish()\` per token`]: [ALL, publishing],
};

async function compareWays(app) {
  const results = Object.fromEntries(Object.keys(WAYS).map((way) => [way, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    process.stderr.write(`round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up)' : ''}\n`);
    const idle = {};
    for (const channels of [SOME, ALL]) idle[channels] = await costOf(channels, () => undefined);
    for (const [way, [channels, run]] of Object.entries(WAYS)) {
      await redis.admin.flushall();
      await sleep(SETTLE_MS);
      const cost = await run(app, channels);
      await check(channels);
      const net = (name) => cost[name] - idle[channels][name];
      if (round > 0) results[way].push({ ...cost, redis: net('redis'), process: net('process') });
    }
  }
  return results;
}

const cellOf = (values, digits) => {
  const { median: middle, min, max } = median(values);
  return `${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
};

function showWays(results) {
  const size = (bytesOf(1_000) / 1_000).toFixed(0);
  say(`${RATE} tokens/s on each stream or channel, of ${size} bytes as JSON\n`);
  say(
    '| | tokens/s | scripts/s | Redis, µs per token | process, µs per token | Redis, bytes per token |\n| --- | ---: | ---: | ---: | ---: | ---: |',
  );
  for (const [way, runs] of Object.entries(results)) {
    const cell = (name, digits) =>
      cellOf(
        runs.map((run) => run[name]),
        digits,
      );
    say(
      `| ${way} | ${cell('rate', 0)} | ${cell('scripts', 1)} | ${cell('redis', 1)} | ${cell('process', 1)} | ${cell('memory', 0)} |`,
    );
  }
}

async function timeOf(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function consume(source) {
  let size = 0;
  for await (const { delta } of source) size += delta.length;
  return size;
}

/** @returns ms of the producer, and until the end is stored */
async function pipeTimes({ streams }, id, paceMs) {
  const out = await streams.open(id);
  const produced = await timeOf(() => out.pipe(produce(PRODUCED, paceMs)));
  return { produced, stored: produced + (await timeOf(() => finish([out]))) };
}

async function compareProducers(apps) {
  say(
    `\n| ${PRODUCED} tokens | alone, ms | round trip | with \`pipe()\`, ms | extra | until the end is stored, ms |\n| --- | ---: | ---: | ---: | ---: | ---: |`,
  );
  for (const paceMs of [1, 0]) {
    const alone = [];
    const piped = Object.fromEntries(Object.keys(apps).map((name) => [name, []]));
    for (let round = 0; round <= ROUNDS; round++) {
      const without = await timeOf(() => consume(produce(PRODUCED, paceMs)));
      if (round > 0) alone.push(without);
      for (const [name, app] of Object.entries(apps)) {
        const times = await pipeTimes(app, `p${paceMs}.${round}.${parseInt(name)}`, paceMs);
        if (round > 0) piped[name].push({ ...times, extra: times.produced - without });
      }
    }
    for (const [name, runs] of Object.entries(piped)) {
      const cell = (key) =>
        cellOf(
          runs.map((run) => run[key]),
          1,
        );
      const percent = runs.map(({ extra }, n) => (extra / alone[n]) * 100);
      const micros = runs.map(({ extra }) => (extra * 1e3) / PRODUCED);
      const extra = paceMs > 0 ? `${cellOf(percent, 1)} %` : `${cellOf(micros, 1)} µs per token`;
      const label = paceMs > 0 ? `${paceMs} ms between two` : 'as fast as it can';
      say(
        `| ${label} | ${cellOf(alone, 1)} | ${name} | ${cell('produced')} | ${extra} | ${cell('stored')} |`,
      );
    }
  }
}

async function measureMemory({ streams }) {
  say('\n| Tokens | as JSON, bytes | Redis, bytes | per token |\n| ---: | ---: | ---: | ---: |');
  for (const count of [1_000, 10_000, 100_000]) {
    await redis.admin.flushall();
    await sleep(SETTLE_MS);
    const before = await redis.memory();
    const out = await streams.open('m');
    await out.pipe(produce(count, 0));
    await finish([out]);
    await sleep(SETTLE_MS);
    const grown = (await redis.memory()) - before;
    say(`| ${count} | ${bytesOf(count)} | ${grown} | ${(grown / count).toFixed(1)} |`);
  }
}

const proxies = [];
async function delayed(roundTripMs) {
  const args = ['bench/delay.proxy.js', `${PORT}`, `${roundTripMs}`];
  const proxy = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  proxies.push(proxy);
  const [port] = await once(proxy.stdout, 'data');
  return open(`redis://127.0.0.1:${Number(port)}/0`);
}

const apps = { direct: await open(redis.url), '0 ms': await delayed(0), '50 ms': await delayed(50) };
try {
  const { direct, ...distant } = apps;
  showWays(await compareWays(direct));
  await compareProducers(distant);
  await measureMemory(direct);
} finally {
  for (const { context } of Object.values(apps)) await context.close();
  for (const proxy of proxies) proxy.kill();
  redis.stop();
}

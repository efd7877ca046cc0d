/**
 * The cost of subscribed application processes for one Redis: per event and process, per process, per subscription, and per
 * audit for missed events, which each process does for each of its channels about twice a minute.
 *
 *   npm run build && node bench/subscribers.bench.js [events] [rounds]
 *
 * Each process is one broker of this module, as in an application. Events of 100 bytes, with history. It checks at the end of
 * each run that every process received every event.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisSseBroker } from '../dist/broker/redis/redis.broker.js';
import { median, say, startRedis } from './redis.js';

const EVENTS = Number(process.argv[2] ?? 20_000);
const ROUNDS = Number(process.argv[3] ?? 5);
const IN_FLIGHT = 256;
const COUNTS = [0, 1, 10, 50, 100];
const CHANNELS = 10_000;

const redis = await startRedis(16_390);
const publisher = new RedisSseBroker(redis.url, 'bench:');
const publication = { data: JSON.stringify('x'.repeat(100)) };
let received = 0;

/** A broker with subscriptions to the given channels. */
async function startSubscriber(channels) {
  const broker = new RedisSseBroker(redis.url, 'bench:');
  await new Promise((resolve) => {
    let left = channels.length;
    const onSubscribed = () => --left === 0 && resolve();
    for (const channel of channels) {
      broker.subscribe(channel, { onSubscribed, onInterrupted() {}, onMessage: () => received++ });
    }
  });
  return broker;
}

async function measure(count) {
  received = 0;
  const before = await redis.cpu();
  let left = EVENTS;
  const loop = async () => {
    while (left-- > 0) await publisher.publish('all', publication);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  for (const end = Date.now() + 30_000; received < EVENTS * count && Date.now() < end;) await sleep(5);
  if (received !== EVENTS * count) throw new Error(`Expected ${EVENTS * count} deliveries, got ${received}`);
  return (((await redis.cpu()) - before) * 1e6) / EVENTS;
}

const brokers = [];
try {
  const results = new Map(COUNTS.map((count) => [count, []]));
  for (const count of COUNTS) {
    while (brokers.length < count) brokers.push(await startSubscriber(['all']));
    for (let round = 0; round <= ROUNDS; round++) {
      process.stderr.write(
        `${count} processes, round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up)' : ''}\n`,
      );
      const spent = await measure(count);
      if (round > 0) results.get(count).push(spent);
    }
  }
  say('| Subscribed processes | Redis, µs per event |\n| ---: | ---: |');
  for (const [count, runs] of results) {
    const { median: middle, min, max } = median(runs);
    say(`| ${count} | ${middle.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)}) |`);
  }
  await Promise.all(brokers.splice(0).map((broker) => broker.close()));

  const audits = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = await redis.cpu();
    let left = EVENTS;
    const loop = async () => {
      while (left-- > 0) await publisher.read('all', [], 0);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
    if (round > 0) audits.push((((await redis.cpu()) - before) * 1e6) / EVENTS);
  }
  const { median: middle, min, max } = median(audits);
  say(`\nAn audit for missed events: ${middle.toFixed(1)} µs of Redis (${min.toFixed(1)}–${max.toFixed(1)})`);

  const channels = Array.from({ length: CHANNELS }, (_, n) => `channel-${n}`);
  const memory = [await redis.memory()];
  for (const each of [['all'], ['all'], channels, channels]) {
    brokers.push(await startSubscriber(each));
    await sleep(500);
    memory.push(await redis.memory());
  }
  const grown = (n) => memory[n] - memory[n - 1];
  say('\n| Redis’s memory | bytes |\n| --- | ---: |');
  say(`| a process (two connections) | ${grown(2)} |`);
  say(
    `| a channel that the first process subscribes to | ${((grown(3) - grown(2)) / CHANNELS).toFixed(0)} |`,
  );
  say(`| the same for each further process | ${((grown(4) - grown(2)) / CHANNELS).toFixed(0)} |`);
} finally {
  await Promise.all([publisher, ...brokers].map((broker) => broker.close()));
  redis.stop();
}

/**
 * The cost of an event for the servers of a Redis Cluster, with classic and with sharded Pub/Sub, compared with a single Redis.
 *
 *   npm run build && node bench/cluster.bench.js [events] [rounds]
 *
 * Publishers and two subscribed applications run in this process, with 64 channels on all masters and no replicas.
 * Each round runs every variant once, with 256 publications in flight for each master. It checks at the end of each run that both
 * applications received every event.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { median, say, startRedis } from './redis.js';

const EVENTS = Number(process.argv[2] ?? 20_000);
const ROUNDS = Number(process.argv[3] ?? 5);
/** Per master, so that each master has the same load as a single server. */
const IN_FLIGHT = 256;
const APPLICATIONS = 2;
const CHANNELS = Array.from({ length: 64 }, (_, n) => `channel-${n}`);
const SIZES = [100, 4_000];

let port = 16_400;

async function startCluster(masters) {
  const servers = [];
  for (let n = 0; n < masters; n++) {
    const cluster = ['--cluster-enabled', 'yes', '--cluster-port', `${port + 1_000}`];
    servers.push(await startRedis(port++, cluster));
  }
  const addresses = servers.map(({ url }) => new URL(url).host);
  // redis-cli creates no cluster with less than three masters.
  if (masters < 3) await join(servers);
  else spawnSync('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
  for (const { admin } of servers) {
    while (!String(await admin.cluster('INFO')).includes('cluster_state:ok')) await sleep(50);
  }
  const nodes = servers.map(({ url }) => ({ host: '127.0.0.1', port: Number(new URL(url).port) }));
  return { servers, redis: (shardedSubscribers) => ({ nodes, shardedSubscribers }) };
}

/** A cluster of few masters, each with an equal share of the slots. */
async function join(servers) {
  const share = Math.ceil(16_384 / servers.length);
  for (const [n, { admin, url }] of servers.entries()) {
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', n * share, Math.min((n + 1) * share, 16_384) - 1);
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
    const own = Number(new URL(url).port);
    if (n > 0) await servers[0].admin.call('CLUSTER', 'MEET', '127.0.0.1', own, own + 1_000);
  }
}

async function startApplications(redis, prefix) {
  const contexts = [];
  for (let n = 0; n < 1 + APPLICATIONS; n++) {
    contexts.push(
      await NestFactory.createApplicationContext(SseModule.forRoot({ redis, prefix }), { logger: false }),
    );
  }
  const [publisher, ...subscribers] = contexts.map((context) => context.get(SseService));
  const received = { count: 0 };
  for (const sse of subscribers) {
    for (const channel of CHANNELS) {
      sse.messages(channel).subscribe((event) => event.type === undefined && received.count++);
    }
  }
  // Each application must receive each channel before the measurement.
  for (const channel of CHANNELS) {
    for (const before = received.count; received.count < before + APPLICATIONS;) {
      await publisher.publish('are you there?', { channel, transient: true });
      await sleep(20);
    }
  }
  return { publisher, received, close: () => Promise.all(contexts.map((context) => context.close())) };
}

/** Messages with events that a server has sent to the other servers. */
async function busMessages({ admin }) {
  const info = String(await admin.cluster('INFO').catch(() => ''));
  return [...info.matchAll(/messages_publish(?:shard)?_sent:(\d+)/g)].reduce(
    (sum, [, sent]) => sum + Number(sent),
    0,
  );
}

async function measure({ servers }, { publisher, received }, size) {
  const data = { text: 'x'.repeat(size) };
  const look = async (what) => Promise.all(servers.map(what));
  const cpu = (server) => server.cpu();
  await sleep(500);
  const [cpuBefore, busBefore, before, start] = [
    await look(cpu),
    await look(busMessages),
    received.count,
    performance.now(),
  ];
  let left = EVENTS;
  const loop = async () => {
    while (left-- > 0) await publisher.publish(data, { channel: CHANNELS[left % CHANNELS.length] });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT * servers.length }, loop));
  const seconds = (performance.now() - start) / 1_000;
  const due = before + EVENTS * APPLICATIONS;
  for (const end = Date.now() + 10_000; received.count < due && Date.now() < end;) await sleep(5);
  if (received.count !== due)
    throw new Error(`Expected ${due - before} deliveries, got ${received.count - before}`);
  const spent = (await look(cpu)).map((seconds, n) => ((seconds - cpuBefore[n]) * 1e6) / EVENTS);
  const sent = (await look(busMessages)).map((count, n) => (count - busBefore[n]) / EVENTS);
  return {
    all: spent.reduce((sum, each) => sum + each),
    busiest: Math.max(...spent),
    bus: sent.reduce((sum, each) => sum + each),
    rate: EVENTS / seconds,
  };
}

const alone = await startRedis(port++);
const topologies = [['one Redis', { servers: [alone], redis: () => alone.url }, [false]]];
for (const masters of [1, 3, 6, 12]) {
  const name = `cluster, ${masters} master${masters > 1 ? 's' : ''}`;
  topologies.push([name, await startCluster(masters), [false, true]]);
}
const ways = topologies.flatMap(([name, topology, modes]) =>
  modes.map((sharded) => ({
    name: modes.length > 1 ? `${name}, ${sharded ? 'sharded' : 'classic'}` : name,
    topology,
    sharded,
  })),
);
try {
  for (const way of ways)
    way.applications = await startApplications(
      way.topology.redis(way.sharded),
      `${way.name}:`.replaceAll(' ', '-'),
    );
  for (const size of SIZES) {
    const results = new Map(ways.map(({ name }) => [name, []]));
    for (let round = 0; round <= ROUNDS; round++) {
      process.stderr.write(`${size} bytes, round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up)' : ''}\n`);
      for (const { name, topology, applications } of ways) {
        const result = await measure(topology, applications, size);
        if (round > 0) results.get(name).push(result);
      }
    }
    say(`\nEvents of ${size} bytes, medians of ${ROUNDS} rounds (range)\n`);
    say(
      '| | All servers, µs of CPU per event | The busiest | Messages between servers per event | Events/s |',
    );
    say('| --- | ---: | ---: | ---: | ---: |');
    for (const [name, runs] of results) {
      const cell = (key, digits) => {
        const { median: middle, min, max } = median(runs.map((run) => run[key]));
        return `${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
      };
      say(`| ${name} | ${cell('all', 1)} | ${cell('busiest', 1)} | ${cell('bus', 2)} | ${cell('rate', 0)} |`);
    }
  }
} finally {
  await Promise.all(ways.map(({ applications }) => applications?.close()));
  for (const [, { servers }] of topologies) for (const server of servers) server.stop();
}

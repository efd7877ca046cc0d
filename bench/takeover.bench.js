/**
 * The cost of a failover that an operator triggers, for a process with many channels of the master: how long the event loop is
 * blocked, and how long it takes until an event on each channel has arrived.
 *
 *   npm run build && node bench/takeover.bench.js [channels…]
 *
 * Two masters, one with a replica and all channels. With sharded Pub/Sub the old master ends each of their subscriptions, with
 * classic Pub/Sub none. Each kind has its own process, so that they do not wait for each other.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import calculateSlot from 'cluster-key-slot';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { say, startRedis } from './redis.js';

const HALF = 8_192;
const IN_FLIGHT = 256;

async function startCluster(port) {
  const servers = [];
  for (let n = 0; n < 3; n++) {
    const cluster = ['--cluster-enabled', 'yes', '--cluster-port', `${port + n + 1_000}`];
    servers.push(await startRedis(port + n, cluster));
  }
  const [one, other, replica] = servers.map(({ admin }) => admin);
  for (const [n, admin] of [one, other].entries()) {
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', n * HALF, (n + 1) * HALF - 1);
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
  }
  for (const n of [1, 2]) await one.call('CLUSTER', 'MEET', '127.0.0.1', port + n, port + n + 1_000);
  const id = await one.call('CLUSTER', 'MYID');
  const succeeds = (command) => command().catch(() => undefined);
  while ((await succeeds(() => replica.call('CLUSTER', 'REPLICATE', id))) !== 'OK') await sleep(100);
  while (!String(await replica.info('replication')).includes('master_link_status:up')) await sleep(100);
  for (const admin of [one, other]) {
    while (!String(await admin.cluster('INFO')).includes('cluster_state:ok')) await sleep(50);
  }
  return { servers, replica, nodes: [port, port + 1] };
}

async function measure(sharded, count, port) {
  const { servers, replica, nodes } = await startCluster(port);
  const redis = { nodes, shardedSubscribers: sharded };
  const context = await NestFactory.createApplicationContext(SseModule.forRoot({ redis }), { logger: false });
  const sse = context.get(SseService);
  const channels = [];
  for (let n = 0; channels.length < count; n++) {
    if (calculateSlot(`c${n}`) < HALF) channels.push(`c${n}`);
  }
  const heard = new Set();
  for (const channel of channels) sse.messages(channel).subscribe(() => heard.add(channel));
  const publishTo = async (these) => {
    const left = [...these];
    const loop = async () => {
      while (left.length > 0) await sse.publish('there?', { channel: left.pop() });
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  };
  while (heard.size < count) {
    await publishTo(channels.filter((channel) => !heard.has(channel)));
    await sleep(100);
  }
  await sleep(1_000);
  heard.clear();
  let [last, longest] = [performance.now(), 0];
  const tick = setInterval(() => {
    const now = performance.now();
    [last, longest] = [now, Math.max(longest, now - last)];
  }, 5);
  const start = performance.now();
  await replica.call('CLUSTER', 'FAILOVER');
  while (!String(await replica.info('replication')).includes('role:master')) await sleep(5);
  await publishTo(channels);
  while (heard.size < count) await sleep(5);
  const all = performance.now() - start;
  clearInterval(tick);
  await context.close();
  for (const server of servers) server.stop();
  return { longest, all };
}

const [mode, count, port] = process.argv.slice(2);
if (mode === 'sharded' || mode === 'classic') {
  process.send(await measure(mode === 'sharded', Number(count), Number(port)));
  process.exit();
}
const counts = process.argv.length > 2 ? process.argv.slice(2) : ['2000', '8000', '18000'];
say('| Channels | Pub/Sub | Longest block of the event loop, ms | An event on each channel after, s |');
say('| ---: | --- | ---: | ---: |');
let next = 16_500;
for (const channels of counts) {
  for (const each of ['sharded', 'classic']) {
    const child = fork(import.meta.filename, [each, channels, `${(next += 5)}`]);
    const [{ longest, all }] = await once(child, 'message');
    say(`| ${channels} | ${each} | ${longest.toFixed(0)} | ${(all / 1_000).toFixed(1)} |`);
  }
}

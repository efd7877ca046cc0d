/**
 * 100,000 idle connections of one application: memory of all its processes, one event to all, and a reconnection of all.
 *
 *   npm run build && node bench/connections.bench.js [connections] [adapter] [options of Node.js]
 *
 * A process has 20,000 descriptors here, so there are six of them, over one Redis, with heartbeats of 15 s. The clients are plain sockets of six other
 * processes. They check that each event arrives once and in order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { NestFactory } from '@nestjs/core';
import { start } from './fanout/ipc.js';
import { say, startRedis } from './redis.js';

const COUNT = Number(process.argv[2] ?? 100_000);
const adapter = process.argv[3] ?? 'express';
const flags = process.argv.slice(4);
const PROCESSES = Math.ceil(COUNT / 17_000);
const EACH = Math.ceil(COUNT / PROCESSES);
const TOTAL = EACH * PROCESSES;
const QUIET_MS = 60_000;

const redis = await startRedis(16_379);
const context = await NestFactory.createApplicationContext(SseModule.forRoot(redis.url), { logger: false });
const sse = context.get(SseService);
const range = Array.from({ length: PROCESSES }, (_, n) => n);
const servers = await Promise.all(
  range.map(() =>
    start('../connections/server.js', { redis: redis.url, adapter }, ['--expose-gc', ...flags]),
  ),
);
const clients = await Promise.all(range.map(() => start('../connections/clients.js')));
// Ports of closed connections are not free at once, so clients reconnect to another address.
const targetsAt = (address) => servers.map(({ port }) => ({ port, address }));
const [first, second] = ['127.0.0.1', '127.0.0.2'].map(targetsAt);

const all = (remotes, ...call) => Promise.all(remotes.map((remote) => remote.call(...call)));
const sum = (values) => values.reduce((total, value) => total + value, 0);
const memory = async () => {
  const sizes = await all(servers, 'memory');
  const programs = sizes.map(({ program }) => program);
  return {
    own: sum(sizes.map(({ own }) => own)),
    heap: sum(sizes.map(({ heap }) => heap)),
    // Processes share the files of their program.
    program: Math.max(...programs),
  };
};
const micros = async () => sum((await all(servers, 'cpu')).map(({ user, system }) => user + system));
const report = async (number) => {
  const reports = await all(clients, 'report', number);
  const keys = Object.keys(reports[0]);
  return Object.fromEntries(keys.map((key) => [key, sum(reports.map((each) => each[key]))]));
};

/** Publishes an event, and resolves with the time until all clients have it, in seconds. */
async function publish(number) {
  const from = performance.now();
  await sse.publish(number, { channel: 'news' });
  return read(number, from);
}
async function read(number, from) {
  while ((await report(number)).read < TOTAL) {
    if (performance.now() - from > 120_000) throw new Error(`Not all have event ${number}`);
    await sleep(20);
  }
  return (performance.now() - from) / 1_000;
}

const row = (...cells) => say(`| ${cells.join(' | ')} |`);
const mib = (bytes) => `${(bytes / 1_048_576).toFixed(0)} MiB`;
const kib = (bytes) => (bytes / TOTAL / 1_024).toFixed(1);
const each = ({ own, heap }) =>
  `${mib(own + empty.program)}: ${kib(own - empty.own)} KiB each, of which heap ${kib(heap - empty.heap)}`;

const empty = await memory();
row(
  [`${TOTAL.toLocaleString('en')} connections, ${PROCESSES} processes, ${adapter}`, ...flags].join(', '),
  '',
);
row('---', '---:');
row(
  'processes without connections',
  `${mib(empty.own + empty.program)}, of which the program ${mib(empty.program)}`,
);

let [from, cpu] = [performance.now(), await micros()];
await Promise.all(clients.map((client, n) => client.call('open', first[n], EACH)));
const opened = (performance.now() - from) / 1_000;
row('opening all', `${opened.toFixed(1)} s, ${(((await micros()) - cpu) / TOTAL).toFixed(0)} µs of CPU each`);
await sleep(2_000);
row('memory with all', each(await memory()));
row('one event to all', `${(await publish(1)).toFixed(2)} s`);

cpu = await micros();
await sleep(QUIET_MS);
row('CPU while idle, of one core', `${(((await micros()) - cpu) / QUIET_MS / 10).toFixed(1)} %`);
row('memory after 60 s with heartbeats', each(await memory()));
row('clients with a heartbeat by then', (await report(1)).beaten.toLocaleString('en'));
row('one event to all', `${(await publish(2)).toFixed(2)} s`);

await all(clients, 'close');
await sse.publish(3, { channel: 'news' });
from = performance.now();
await Promise.all(clients.map((client, n) => client.call('reopen', second[n])));
row('all reconnect, and have what they missed', `${(await read(3, from)).toFixed(1)} s`);
row('memory after that', each(await memory()));
const { faults, failed } = await report(3);
const refused = (await all(servers, 'stats')).map((stats) => stats.refused);
row('refused, closed or failed; lost, repeated or disordered', `${sum(refused) + failed}; ${faults}`);

await Promise.all([...clients, ...servers].map((remote) => remote.stop()));
await context.close();
redis.stop();

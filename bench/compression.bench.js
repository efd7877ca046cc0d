/**
 * What compression costs the server, and saves on the wire: once for all connections as this module does it, and by middleware for each connection.
 *
 *   npm run build && node bench/compression.bench.js [rounds] [--quick] [--only=<part of a title, or history>]
 *
 * 1,000 clients check that all get the same bytes, and that these have every event. A turn begins when all clients have read the one before. The
 * ratios are those of a round, and the table has their medians. For history pages, as many clients reconnect after all others have closed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients } from './compression/clients.js';
import { resume } from './compression/resuming.js';
import { start } from './fanout/ipc.js';
import { median, say } from './redis.js';

const [rounds = '5'] = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const isQuick = process.argv.includes('--quick');
const [only = ''] = process.argv.flatMap((arg) => (arg.startsWith('--only=') ? [arg.slice(7)] : []));
const CLIENTS = isQuick ? 100 : 1_000;

const SERVERS = {
  'no compression': { server: 'fastify' },
  '`compression: true`': { server: 'fastify', compression: true },
  'the same, Express': { server: 'express', compression: true },
  '`compression` of Express, per connection': { server: 'compression' },
  '@fastify/compress, per connection': { server: 'fastify-compress' },
};
const [BASE] = Object.keys(SERVERS);

const WORK = [
  { title: '150 B', size: 150, perTurn: 1, turns: 30 },
  { title: '1 kB', size: 1_000, perTurn: 1, turns: 30 },
  { title: '10 kB', size: 10_000, perTurn: 1, turns: 15 },
  { title: '150 B, bursts of 50', size: 150, perTurn: 50, turns: 4 },
  { title: '1 kB, bursts of 50', size: 1_000, perTurn: 50, turns: 2 },
  { title: '10 kB, bursts of 50', size: 10_000, perTurn: 50, turns: 1 },
].map((work) => ({ ...work, channels: ['all'], queries: ['channel=all'] }));
const names = (count) => Array.from({ length: count }, (_, n) => `c${n}`);
const PAIRS = {
  title: '1 kB, 2 subscribers per channel',
  size: 1_000,
  perTurn: 1,
  turns: 15,
  channels: names(CLIENTS / 2),
  queries: names(CLIENTS / 2).map((name) => `channel=${name}`),
};
/** Each connection has ids of its own, so no batch is shared. */
const OWN = [
  { title: '1 kB, a channel of its own for each client beside', perTurn: 1, turns: 15 },
  { title: '1 kB, bursts of 50, a channel of its own for each client beside', perTurn: 50, turns: 3 },
].map((work) => ({
  ...work,
  size: 1_000,
  channels: ['all'],
  queries: names(CLIENTS).map((name) => `channel=all&channel=${name}`),
}));
/** Missed events of 1 kB of each client that reconnects. */
const MISSED = [1, 20, 100];

async function play({ server, clients }, { size, perTurn, channels }, turns, state) {
  await server.call('longestTurn');
  const [latencies, before] = [[], await server.call('cpu')];
  let bytes = 0;
  for (let turn = 0; turn < turns; turn++) {
    const last = state.next + perTurn - 1;
    const reading = clients.read(last);
    await server.call('turn', { first: state.next, perTurn, size, channels });
    const read = await reading;
    state.next = last + 1;
    bytes += read.bytes;
    latencies.push(...read.latencies);
  }
  const deliveries = turns * perTurn * CLIENTS;
  latencies.sort((a, b) => a - b);
  const [p50, p99] = [0.5, 0.99].map((part) => latencies[Math.floor(part * latencies.length)]);
  const cpu = ((await server.call('cpu')) - before) / deliveries;
  return { cpu, bytes: bytes / deliveries, p50, p99, longest: await server.call('longestTurn') };
}

/** Server CPU and bytes of a client that resumes. */
async function measureHistory(options) {
  const isGzip = options.compression !== undefined;
  const server = await start('../compression/server.js', options, ['--expose-gc']);
  try {
    const runs = [];
    for (const missed of MISSED) {
      const lastEventId = await server.call('miss', { missed, size: 1_000 });
      const settings = { port: server.port, isGzip, lastEventId, missed };
      await resume(CLIENTS / 5, settings);
      const before = await server.call('cpu');
      const bytes = await resume(CLIENTS, settings);
      runs.push({ bytes, cpu: ((await server.call('cpu')) - before) / CLIENTS });
    }
    return runs;
  } finally {
    await server.stop();
  }
}

async function measure(options, works) {
  const isGzip = options.server !== 'fastify' || options.compression !== undefined;
  const { queries } = works[0];
  const server = await start('../compression/server.js', options, ['--expose-gc']);
  const clients = new Clients();
  try {
    const empty = await server.call('memory');
    await clients.open({ port: server.port, count: CLIENTS, queries, isGzip });
    await sleep(1_000);
    clients.mark();
    const state = { next: 0 };
    const results = [];
    for (const work of works) {
      await play({ server, clients }, work, Math.floor(work.turns / 3), state);
      results.push(await play({ server, clients }, work, work.turns, state));
    }
    if (clients.faults > 0) throw new Error(`${clients.faults} faults`);
    const memory = ((await server.call('memory')) - empty) / CLIENTS / 1_024;
    return results.map((result) => ({ ...result, memory }));
  } finally {
    clients.close();
    await server.stop();
  }
}

const results = new Map([...WORK, PAIRS, ...OWN].map(({ title }) => [title, new Map()]));
const histories = new Map(MISSED.map((missed) => [missed, new Map()]));
const add = (rows, name, value) => rows.set(name, [...(rows.get(name) ?? []), value]);
const show = (values, digits) => {
  const { median: middle, min, max } = median(values);
  return `${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
};

const allOf = (runs, key) => runs.map((run) => run[key]);

/** Bytes and CPU, each with its ratio to the first row. */
function costCells(rows, name, digits) {
  const runs = rows.get(name);
  const ratio = (key) => median(runs.map((run, n) => run[key] / rows.get(BASE)[n][key])).median.toFixed(2);
  const bytes = median(allOf(runs, 'bytes')).median.toFixed(0);
  return [bytes, ratio('bytes'), show(allOf(runs, 'cpu'), digits), ratio('cpu')];
}

function tables() {
  say(
    '| JSON | Server | Bytes per event | ratio | Server CPU, µs per delivery | ratio | p50, ms | p99, ms | Longest turn, ms |',
  );
  say('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const [title, rows] of results) {
    for (const [name, runs] of rows) {
      const times = ['p50', 'p99', 'longest'].map((key) => show(allOf(runs, key), 1));
      say(`| ${[title, name, ...costCells(rows, name, 2), ...times].join(' | ')} |`);
    }
  }
  say('\n| Missed events | Server | Bytes per client | ratio | Server CPU, µs per client | ratio |');
  say('| ---: | --- | ---: | ---: | ---: | ---: |');
  for (const [missed, rows] of histories) {
    for (const name of rows.keys()) say(`| ${[missed, name, ...costCells(rows, name, 0)].join(' | ')} |`);
  }
  say('\n| Server | Memory after that, KiB per connection |\n| --- | ---: |');
  for (const [name, runs] of results.get(WORK[0].title))
    say(`| ${name} | ${show(allOf(runs, 'memory'), 0)} |`);
}

for (let round = 1; round <= Number(rounds); round++) {
  for (const [name, options] of Object.entries(SERVERS)) {
    const isOfModule = ['fastify', 'express'].includes(options.server);
    for (const works of isOfModule ? [WORK, [PAIRS], OWN] : [WORK, [PAIRS]]) {
      if (!works[0].title.includes(only)) continue;
      const values = await measure(options, works);
      for (const [n, { title }] of works.entries()) add(results.get(title), name, values[n]);
    }
    if (isOfModule && 'history'.includes(only)) {
      const values = await measureHistory(options);
      for (const [n, missed] of MISSED.entries()) add(histories.get(missed), name, values[n]);
    }
    process.stderr.write(`round ${round} of ${rounds}: ${name}\n`);
  }
}
tables();

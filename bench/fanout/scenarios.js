/** The scenarios. Each runs with a new server and new clients per server and round, and returns its results. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Stage } from './stage.js';

const cpu = { key: 'cpu', title: 'Server CPU, µs per delivery', digits: 2, ratio: true };
const client = { key: 'client', title: 'Client CPU, µs per delivery', digits: 2 };
const latency = [
  { key: 'p50', title: 'p50, ms', digits: 1 },
  { key: 'p99', title: 'p99, ms', digits: 1 },
];
const writes = { key: 'writes', title: 'Writes per delivery', digits: 2 };
const rate = { key: 'rate', title: 'Deliveries/s', digits: 0 };

/** Warms up with a third of the work, and collects garbage before the measurement. */
async function fanOut(stage, { settings, ...plan }) {
  await stage.open(plan);
  await stage.live(plan);
  const ownRound = plan.topology === 'both' ? 11 : 1;
  const warmUp = Math.ceil(plan.turns / 3 / ownRound) * ownRound;
  await stage.play({ ...plan, turns: warmUp, rate: undefined });
  await stage.memory();
  return stage.play(plan, settings);
}

async function idle(stage, { clients, growth }) {
  const plan = { topology: 'one', clients, turns: 100, window: 5 };
  await stage.open(plan, Math.min(clients, 200));
  await stage.live(plan);
  await stage.load.call('close');
  await stage.quiet();
  const empty = await stage.memory();
  const before = await stage.cpu();
  await stage.open(plan);
  const accept = ((await stage.cpu()) - before) / clients;
  await stage.quiet();
  const full = await stage.memory();
  const perClient = (after, key) => (after[key] - empty[key]) / clients / 1_024;
  const results = { accept, rss: perClient(full, 'rss'), heap: perClient(full, 'heap') };
  if (!growth) return results;
  await stage.live(plan);
  const faults = await stage.play(plan);
  await sleep(growth);
  const later = await stage.memory();
  return { ...faults, ...results, laterRss: perClient(later, 'rss'), laterHeap: perClient(later, 'heap') };
}

/** Opens and closes all clients several times before, so that the server's code is compiled. */
async function accept(stage, { clients, before: times }) {
  const plan = { topology: 'one', clients, turns: 100, window: 5 };
  await stage.open(plan, Math.min(clients, 200));
  await stage.live(plan);
  for (let time = 0; time < times; time++) {
    await stage.load.call('close');
    await stage.quiet();
    await stage.open(plan);
  }
  await stage.load.call('close');
  await stage.memory();
  const before = await stage.cpu();
  await stage.open(plan);
  return { accept: ((await stage.cpu()) - before) / clients };
}

async function slow(stage, { stalled, clients, ...rest }) {
  const plan = { ...rest, clients: clients - stalled };
  await stage.open(plan, clients);
  await stage.live(plan);
  const before = await stage.memory();
  await stage.load.call('stall', stalled);
  let results;
  const peak = await stage.peak(async () => {
    results = await stage.play(plan);
  });
  const cut = await stage.load.call('cut');
  return { ...results, cut, peak: (peak - before.rss) / 1_048_576 };
}

export const SCENARIOS = {
  turn: {
    title: '1,000 subscribers, one event a turn of the event loop',
    columns: [cpu, writes, rate, client],
    run: fanOut,
    plan: { topology: 'one', clients: 1_000, turns: 300 },
    quick: { clients: 300, turns: 300 },
  },
  awake: {
    title: '1,000 subscribers, one event a turn, to clients that never sleep',
    // The scenario above has the other servers.
    servers: ['sse-channels', 'write', 'socket'],
    columns: [cpu, writes, rate],
    run: fanOut,
    plan: { topology: 'one', clients: 1_000, turns: 300, settings: { awake: true } },
    quick: { clients: 300, turns: 300 },
  },
  paced: {
    title: '1,000 subscribers, 50 events/s',
    columns: [cpu, ...latency, writes, rate, client],
    run: fanOut,
    // Two seconds of events may be in flight before the publisher waits for a slow server.
    plan: { topology: 'one', clients: 1_000, turns: 250, rate: 50, window: 100, settings: { timed: true } },
    quick: { clients: 300, turns: 100 },
  },
  burst: {
    title: '1,000 subscribers, bursts of 50 events through Redis',
    redis: true,
    columns: [cpu, writes, rate, client],
    run: fanOut,
    plan: { topology: 'one', clients: 1_000, turns: 30, perTurn: 50, window: 4 },
    quick: { clients: 300, turns: 30 },
  },
  channels: {
    title: '1,000 channels with 2 subscribers each, through Redis at full speed',
    redis: true,
    columns: [cpu, writes, rate, client],
    run: fanOut,
    plan: { topology: 'many', clients: 2_000, channels: 1_000, turns: 2_000, perTurn: 50, window: 200 },
    quick: { clients: 300, channels: 150, turns: 300 },
  },
  both: {
    title: '1,000 subscribers with one shared channel and one channel of their own each',
    columns: [cpu, writes, rate, client],
    run: fanOut,
    plan: { topology: 'both', clients: 1_000, turns: 440 },
    quick: { clients: 300, turns: 220 },
  },
  accept: {
    title: '5,000 clients reconnect to a server that is warm',
    servers: ['sse-channels', 'nest', 'fastify-sse', 'route', 'write'],
    columns: [{ key: 'accept', title: 'CPU to accept one, µs', digits: 0, ratio: true }],
    run: accept,
    plan: { clients: 5_000, before: 2 },
    quick: { clients: 300 },
  },
  'idle-5000': {
    title: '5,000 idle connections',
    columns: [
      { key: 'rss', title: 'Memory, KiB each', digits: 1, ratio: true },
      { key: 'heap', title: 'of which heap', digits: 1 },
      { key: 'accept', title: 'CPU to accept one, µs', digits: 0, ratio: true },
    ],
    run: idle,
    plan: { clients: 5_000 },
    quick: { clients: 300 },
  },
  'idle-10000': {
    title: '10,000 idle connections, and after 100 events and 10 s',
    // The scenario above has the other servers.
    servers: ['sse-channels', 'nest', 'write'],
    columns: [
      { key: 'rss', title: 'Memory, KiB each', digits: 1, ratio: true },
      { key: 'heap', title: 'of which heap', digits: 1 },
      { key: 'laterRss', title: 'later', digits: 1 },
      { key: 'laterHeap', title: 'of which heap', digits: 1 },
      { key: 'accept', title: 'CPU to accept one, µs', digits: 0, ratio: true },
    ],
    run: idle,
    plan: { clients: 10_000, growth: 10_000 },
    quick: { clients: 300, growth: 1_000 },
  },
  slow: {
    title: '10 of 200 clients stop reading, 20 MB of events of 10 kB',
    columns: [
      { key: 'peak', title: 'Peak memory growth, MiB', digits: 0, ratio: true },
      { key: 'cut', title: 'Disconnected, of 10', digits: 0 },
      { key: 'seconds', title: 'Other clients complete after, s', digits: 1 },
    ],
    run: slow,
    plan: { topology: 'one', clients: 200, stalled: 10, turns: 2_000, size: 10_000, window: 8 },
    quick: {},
  },
};

/** One measurement of a scenario with a server. */
export async function measure(scenario, name, { redis, quick, profile }) {
  const { run, plan, quick: smaller } = SCENARIOS[scenario];
  const stage = await Stage.set(name, { redis: SCENARIOS[scenario].redis && redis, profile });
  try {
    return await run(stage, { ...plan, ...(quick && smaller) });
  } finally {
    await stage.stop();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { until, within } from '../support/until.js';
import type { HoppingClient } from './client.js';
import { replicate } from './fail-over.js';
import type { Node } from './node.js';
import { endOf, type Stream, type StreamTraffic } from './streams.js';

/** Produces streams, and causes a fault in their middle. */
export type StreamFault = (traffic: StreamTraffic) => Promise<unknown>;

const LEASE_MS = 4_000;
/** How much later than promised a busy machine may be. */
const SPARE_MS = 500;
const LOST = ['lost lease'];

const otherThan = (owner: Node, { rig }: StreamTraffic): Node => rig.nodes.find((node) => node !== owner)!;
const ownerOf = ({ runs }: Stream): Node => runs.at(-1)!.node;

/** Adds a reader on each node but the owner. It stays on its node. */
function watch(traffic: StreamTraffic, stream: Stream): HoppingClient[] {
  const others = traffic.rig.nodes.filter((node) => node !== ownerOf(stream));
  const readers = others.flatMap(({ port }) => traffic.read(stream, 1, () => [port]));
  for (const reader of readers) reader.settle();
  return readers;
}

const end = (readers: readonly HoppingClient[], how: string, ms: number): Promise<unknown> =>
  within(
    ms,
    `the end ${how}`,
    until(() => readers.every((reader) => endOf(reader) === how)),
  );

/** Begins streams. The owner of the first one is to fail: its readers stay on the other nodes. */
async function beginMortal(traffic: StreamTraffic, ends = LOST): Promise<[Stream, Node, HoppingClient[]]> {
  await traffic.begin({ leaseMs: LEASE_MS });
  const [stream] = traffic.streams as [Stream];
  stream.runs[0]!.ends = ends;
  const readers = watch(traffic, stream);
  await until(() => readers.every(({ deliveries }) => deliveries.length > 5));
  return [stream, ownerOf(stream), readers];
}

/** Streams that write nothing more after their first event. */
const SILENT = { everyMs: 60_000, leaseMs: 60_000 };

/** Stops a stream that writes and a silent one from another node. */
async function abortAll(traffic: StreamTraffic, ms: number): Promise<void> {
  const [stream] = traffic.streams as [Stream];
  const silent = traffic.streams.at(-1)!;
  const stop = async (each: Stream) => {
    const answer = await traffic.abort(each, otherThan(ownerOf(each), traffic), 'enough');
    if (answer !== 'stopped') traffic.rig.problems.push(`abort() of ${each.id} has answered ${answer}`);
  };
  await within(ms, 'abort()', Promise.all([stop(stream), stop(silent)]));
}

async function beginStoppable(traffic: StreamTraffic): Promise<Node> {
  await traffic.begin();
  const [stream] = traffic.streams as [Stream];
  const node = ownerOf(stream);
  const silent = await traffic.start('silent', { ...SILENT, node });
  for (const each of [stream, silent]) each.runs[0]!.ends = ['aborted enough'];
  const [reader] = traffic.read(silent, 2);
  await until(() => reader!.deliveries.length > 1);
  // The call that has stored its event would hear of a stop.
  await sleep(SPARE_MS);
  return node;
}

/** Begins streams, and causes a fault that leaves nothing of them. */
async function loseAll(traffic: StreamTraffic, fault: () => Promise<unknown>): Promise<void> {
  await traffic.begin({ leaseMs: LEASE_MS });
  traffic.lose();
  for (const stream of traffic.streams) stream.isGone = true;
  const readers = watch(traffic, traffic.streams[0]!);
  await until(() => readers.every(({ deliveries }) => deliveries.length > 5));
  await fault();
  await end(readers, 'lost expired', LEASE_MS + 1_000 + SPARE_MS);
}

export const STREAM_FAULTS: Record<string, StreamFault> = {
  'the owner is killed': async (traffic) => {
    const { rig } = traffic;
    const [, node, readers] = await beginMortal(traffic);
    const unread = await traffic.start('unread', { ...SILENT, node, leaseMs: LEASE_MS, ends: LOST });
    rig.forget(node);
    await node.kill();
    await end(readers, 'lost lease', LEASE_MS + 1_000);
    await sleep(SPARE_MS);
    const { state } = await traffic.status(unread, rig.nodes[0]!);
    if (state !== 'lost') rig.problems.push(`A stream without readers is ${state}`);
  },
  'the owner is suspended for longer than its lease': async (traffic) => {
    const [, node, readers] = await beginMortal(traffic);
    node.signal('SIGSTOP');
    await end(readers, 'lost lease', LEASE_MS + 1_000);
    node.signal('SIGCONT');
  },
  'the owner is suspended, and another node starts the stream again': async (traffic) => {
    const [stream, node, readers] = await beginMortal(traffic);
    node.signal('SIGSTOP');
    await end(readers, 'lost lease', LEASE_MS + 1_000);
    await traffic.start(stream.id, { node: otherThan(node, traffic) });
    traffic.read(stream, 2);
    await sleep(traffic.rig.random.between(0, 500));
    node.signal('SIGCONT');
    traffic.read(stream, 2);
  },
  'another node replaces the stream while its owner is suspended': async (traffic) => {
    const [stream, node, readers] = await beginMortal(traffic, ['aborted replaced']);
    node.signal('SIGSTOP');
    await traffic.start(stream.id, { node: otherThan(node, traffic), replace: true });
    await end(readers, 'aborted replaced', 1_000);
    traffic.read(stream, 2);
    node.signal('SIGCONT');
  },
  'another node stops the stream': async (traffic) => {
    await beginStoppable(traffic);
    await abortAll(traffic, 1_000);
  },
  'another node stops the stream while its owner has no subscription': async (traffic) => {
    const { proxy } = await beginStoppable(traffic);
    proxy.cutSubscribe = true;
    proxy.cut();
    await abortAll(traffic, 5_000 + SPARE_MS);
    proxy.cutSubscribe = false;
  },
  'the stream is stopped when its owner is killed': async (traffic) => {
    const [stream, node] = await beginMortal(traffic, [...LOST, 'aborted user']);
    traffic.rig.forget(node);
    await Promise.all([traffic.abort(stream, otherThan(node, traffic), 'user'), node.kill()]);
  },
  'streams are stopped while they end': async (traffic) => {
    const { rig } = traffic;
    const race = async (n: number) => {
      const node = rig.nodes[n % 3]!;
      const stream = await traffic.start(`short-${n}`, { node, count: 20, ends: ['done', 'aborted user'] });
      traffic.read(stream);
      await sleep(rig.random.between(150, 250));
      await traffic.abort(stream, rig.nodes[(n + 1) % 3]!, 'user');
    };
    await Promise.all(Array.from({ length: 30 }, (_, n) => race(n)));
  },
  'Redis hangs for less than the lease': async (traffic) => {
    await traffic.begin({ leaseMs: 5_000 });
    traffic.rig.server.signal('SIGSTOP');
    await sleep(traffic.rig.random.between(500, 1_500));
    traffic.rig.server.signal('SIGCONT');
  },
  'Redis hangs until connections time out': async (traffic) => {
    await traffic.begin({ leaseMs: 10_000 });
    traffic.rig.server.signal('SIGSTOP');
    await sleep(3_500);
    traffic.rig.server.signal('SIGCONT');
  },
  'Redis is killed and restarted': async (traffic) => {
    await traffic.begin({ leaseMs: 5_000 });
    await traffic.rig.server.kill();
    await sleep(traffic.rig.random.between(0, 500));
    await traffic.rig.server.start();
  },
  'Redis is killed and restarted without its data': async (traffic) => {
    const { server } = traffic.rig;
    await loseAll(traffic, async () => {
      await server.killAndErase();
      await server.start();
    });
  },
  'connections break': async (traffic) => {
    await traffic.begin({ leaseMs: 5_000 });
    for (let left = 10; left > 0; left--) {
      traffic.rig.random.of(traffic.rig.proxies).cut();
      await sleep(traffic.rig.random.between(20, 200));
    }
  },
  'replies are lost': async (traffic) => {
    await traffic.begin({ leaseMs: 5_000 });
    for (let left = 6; left > 0; left--) {
      const proxy = traffic.rig.random.of(traffic.rig.proxies);
      proxy.dropDown = true;
      await sleep(traffic.rig.random.between(20, 200));
      proxy.cut();
      proxy.dropDown = false;
    }
  },
  'messages are lost': async (traffic) => {
    const { rig } = traffic;
    for (const proxy of rig.proxies) proxy.dropMessage = () => rig.random.next() < 0.3;
    await traffic.begin();
    await sleep(1_500);
  },
  'the messages of the end are lost': async (traffic) => {
    for (const proxy of traffic.rig.proxies) proxy.dropMessage = (message) => message.includes('{"end":');
    await traffic.begin({ leaseMs: LEASE_MS });
    const [stream] = traffic.streams as [Stream];
    const readers = watch(traffic, stream);
    await until(() => readers.every(({ deliveries }) => deliveries.length > 5));
    await traffic.finish();
    await until(
      () => traffic.status(stream, traffic.rig.nodes[0]!),
      ({ state }) => state !== 'live',
    );
    await end(readers, 'done', LEASE_MS + 1_000);
  },
  'Redis fails over to a replica that lacks confirmed events': async (traffic) => {
    const takeOver = await replicate(traffic.rig);
    await traffic.begin({ leaseMs: 5_000 });
    traffic.lose('lost data');
    await takeOver({ lagMs: 300, writers: [] });
  },
  'Redis fails over to a replica that lacks events that were sent and not confirmed': async (traffic) => {
    const takeOver = await replicate(traffic.rig);
    await traffic.begin({ leaseMs: 5_000 });
    traffic.lose('lost data');
    const { proxy } = ownerOf(traffic.streams[0]!);
    await takeOver({ lagMs: 0, writers: [proxy], unconfirmedMs: 60 });
  },
  'Redis loses all its data': async (traffic) => {
    await loseAll(traffic, () => traffic.rig.admin.flushall());
  },
  'Redis loses all its data, and another node starts the stream again': async (traffic) => {
    await traffic.begin({ leaseMs: LEASE_MS });
    const stream = traffic.streams[0]!;
    for (const each of traffic.streams) {
      each.losses++;
      each.isGone = each !== stream;
    }
    await traffic.rig.admin.flushall();
    await traffic.start(stream.id, { node: otherThan(ownerOf(stream), traffic) });
  },
  'Redis loses a history': async (traffic) => {
    await traffic.begin({ leaseMs: LEASE_MS });
    traffic.lose('lost data', 'lost expired');
    for (const { id } of traffic.streams) await traffic.rig.admin.del(`sse:{${id}}:history`);
  },
  'Redis loses a position': async (traffic) => {
    const erase = ({ id }: Stream) => traffic.rig.admin.del(`sse:{${id}}:meta`);
    await loseAll(traffic, () => Promise.all(traffic.streams.map(erase)));
  },
  'the clock of Redis steps back': async (traffic) => {
    await traffic.begin();
    traffic.rig.server.setClock(-3_600);
    await sleep(1_500);
  },
};

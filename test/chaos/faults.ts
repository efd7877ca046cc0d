import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/until.js';
import { failOver } from './fail-over.js';
import type { Rig } from './rig.js';
import { UNKIND_FAULTS } from './unkind.js';

/** Something that happens to the rig, and is over when it resolves. */
export type Fault = (rig: Rig) => Promise<void>;

/** Faults in which Redis loses nothing: every client gets every event, and no reset. */
export const FAULTS: Record<string, Fault> = {
  'subscriber connections are killed, again and again': async ({ admin, random }) => {
    for (let left = random.between(1, 6); left > 0; left--) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
      await sleep(random.between(5, 150));
    }
  },
  'all connections are killed': async ({ admin }) => {
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => undefined);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
  },
  'connections are cut before a subscription is confirmed': async ({ nodes, random }) => {
    const { proxy } = random.of(nodes);
    proxy.cutSubscribe = true;
    proxy.cut();
    await sleep(random.between(100, 1_500));
    proxy.cutSubscribe = false;
  },
  'a network breaks': async ({ proxies, random }) => random.of(proxies).cut(),
  'a network is down for a while': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.refuse = true;
    proxy.cut();
    await sleep(random.between(100, 1_500));
    proxy.refuse = false;
  },
  'a network is gone without a word': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.dropUp = proxy.dropDown = true;
    await sleep(random.between(500, 6_000));
    proxy.cut();
    proxy.dropUp = proxy.dropDown = false;
  },
  'replies are lost': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.dropDown = true;
    await sleep(random.between(20, 400));
    proxy.cut();
    proxy.dropDown = false;
  },
  'commands are lost': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.dropUp = true;
    await sleep(random.between(20, 400));
    proxy.cut();
    proxy.dropUp = false;
  },
  'single messages are lost, and the connection is not': async ({ nodes, random }) => {
    const { proxy } = random.of(nodes);
    proxy.dropMessage = () => random.next() < 0.1;
    await sleep(random.between(200, 1_500));
    proxy.dropMessage = undefined;
  },
  'what the server sends is late': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.holdDown = true;
    await sleep(random.between(50, 800));
    proxy.holdDown = false;
  },
  'a network is slow, and cuts everything into single bytes': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.latencyMs = 500;
    proxy.trickle = true;
    await sleep(random.between(500, 1_500));
    proxy.latencyMs = 0;
    proxy.trickle = false;
  },
  'a node’s output buffer in Redis overflows': async ({ admin, nodes, publishers, channels, random }) => {
    await admin.config('SET', 'client-output-buffer-limit', 'pubsub 512kb 256kb 1');
    const { proxy } = random.of(nodes);
    proxy.stall();
    const publisher = random.of(publishers);
    // More than the buffers of the sockets take up.
    await Promise.all(
      Array.from({ length: 120 }, () => publisher.send(random.of(channels), { size: 150_000 })),
    );
    await sleep(1_100);
    proxy.resume();
    await admin.config('SET', 'client-output-buffer-limit', 'pubsub 32mb 8mb 60');
  },
  'clients stop reading': async ({ clients, publishers, channels, random }) => {
    const slow = clients.filter(() => random.next() < 0.3);
    for (const client of slow) client.stall();
    const publisher = random.of(publishers);
    const channel = random.of(channels);
    await Promise.all(Array.from({ length: 80 }, () => publisher.send(channel, { size: 150_000 })));
    await sleep(random.between(100, 1_000));
    for (const client of slow) client.resume();
  },
  'Redis hangs': async ({ server, random }) => {
    server.signal('SIGSTOP');
    await sleep(random.between(100, 1_700));
    server.signal('SIGCONT');
  },
  'Redis hangs until connections are given up': async ({ server, random }) => {
    server.signal('SIGSTOP');
    await sleep(random.between(3_200, 5_500));
    server.signal('SIGCONT');
  },
  'scripts are flushed': async ({ admin }) => {
    await admin.script('FLUSH');
  },
  'a script runs for too long': async ({ server, admin, random }) => {
    await admin.config('SET', 'lua-time-limit', '20');
    const other = server.admin();
    let ended = false;
    const running = other.eval('while true do end', 0).catch(() => (ended = true));
    await sleep(random.between(50, 700));
    // It may begin only now.
    await until(async () => {
      await admin.script('KILL').catch(() => undefined);
      return ended;
    });
    await running;
    // Else a script of ours that has to wait for the processor would be one that runs for too long.
    await admin.config('SET', 'lua-time-limit', '5000');
    other.disconnect();
  },
  'the clock of Redis steps forward': async ({ server }) => {
    server.setClock(3_600);
    await sleep(1_500);
  },
  'the clock of Redis steps back': async ({ server }) => {
    server.setClock(-3_600);
    await sleep(1_500);
    server.setClock(0);
    await sleep(1_000);
  },
  'a node is busy': async ({ nodes, random }) => random.of(nodes).block(random.between(100, 5_500)),
  'a node is killed, and another one started': async (rig) => {
    const node = rig.mortal();
    rig.forget(node);
    await node.kill();
    await rig.startNode();
  },
  'Redis has no memory left': async ({ admin, random }) => {
    await admin.config('SET', 'maxmemory', '1mb');
    await sleep(random.between(50, 700));
    await admin.config('SET', 'maxmemory', '0');
  },
  'Redis takes no further connections': async ({ admin, nodes, random }) => {
    await admin.config('SET', 'maxclients', '1');
    random.of(nodes).proxy.cut();
    await sleep(random.between(50, 1_500));
    await admin.config('SET', 'maxclients', '10000');
  },
  'a right is revoked': async ({ admin, random }) => {
    await admin.acl('SETUSER', 'default', random.of(['-subscribe', '-evalsha', '-xrange', '-publish']));
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
    await sleep(random.between(50, 1_000));
    await admin.acl('SETUSER', 'default', '+@all');
  },
  'Redis is killed and restarted': async ({ server, random }) => {
    await server.kill();
    await sleep(random.between(0, 500));
    await server.start();
  },
  'Redis is killed, and takes long to load what it has': async ({ server, publishers }) => {
    const events = publishers.reduce((sum, { outcomes }) => sum + outcomes.length, 0);
    await server.kill();
    // It sleeps for some 60 µs at one of so many commands that it stored, about 5 of them for an event: 6 s in all.
    await server.start('--key-load-delay', `${-Math.ceil(events / 20_000)}`);
  },
  ...UNKIND_FAULTS,
};

/** Faults in which Redis loses events: clients are told, or go on from what there is. */
export const LOSSY_FAULTS: Record<string, Fault> = {
  'Redis loses everything': async (rig) => {
    rig.lose(...rig.channels);
    await rig.admin.flushall();
  },
  'Redis is killed, and restarted without what it had': async (rig) => {
    rig.lose(...rig.channels);
    await rig.server.killAndErase();
    await rig.server.start();
  },
  'Redis throws keys away for want of memory': async (rig) => {
    rig.lose(...rig.channels);
    await rig.admin.config('SET', 'maxmemory-policy', 'allkeys-random');
    await rig.admin.config('SET', 'maxmemory', '1mb');
    await sleep(rig.random.between(50, 300));
    await rig.admin.config('SET', 'maxmemory', '0');
    await rig.admin.config('SET', 'maxmemory-policy', 'noeviction');
  },
  'a replica that lags takes over': async (rig) => {
    rig.lose(...rig.channels);
    await failOver(rig, rig.random.between(50, 500));
  },
  'Redis loses a history': async (rig) => {
    const channel = rig.random.of(rig.channels);
    rig.lose(channel);
    await rig.admin.del(`sse:{${channel}}:history`);
  },
  'Redis loses a position': async (rig) => {
    const channel = rig.random.of(rig.channels);
    rig.lose(channel);
    await rig.admin.del(`sse:{${channel}}:meta`);
  },
};

interface Disturbance {
  readonly faults: Record<string, Fault>;
  readonly ms: number;
  /** Whether it goes on after that until each fault has happened. */
  readonly each?: boolean;
  readonly tell?: (progress: string) => unknown;
  /** What comes after a fault that began at that time. */
  readonly pause?: (fault: string, beganAt: number) => Promise<unknown>;
}

/** Lets one fault after the other happen, with pauses. */
export async function disturb(
  rig: Rig,
  { faults, ms, each = false, tell, pause = () => sleep(rig.random.between(50, 700)) }: Disturbance,
): Promise<Map<string, number>> {
  const happened = new Map<string, number>();
  const names = Object.keys(faults);
  const end = performance.now() + ms;
  const isOver = () => performance.now() > end && (!each || happened.size === names.length);
  while (!isOver()) {
    const beganAt = performance.now();
    // Each once, then by chance.
    const name = names.find((fault) => !happened.has(fault)) ?? rig.random.of(names);
    happened.set(name, (happened.get(name) ?? 0) + 1);
    rig.sightings.fault = name;
    tell?.(`${Math.round((end - beganAt) / 1_000)} s left: ${name}`);
    await faults[name]!(rig);
    await pause(name, beganAt);
  }
  return happened;
}

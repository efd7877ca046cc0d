import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/until.js';
import { failOver } from './fail-over.js';
import type { Rig } from './rig.js';
import { UNKIND_FAULTS } from './unkind.js';

/** Causes a fault in the rig. The fault is over when the promise resolves. */
export type Fault = (rig: Rig) => Promise<void>;

/** Faults in which Redis loses nothing: every client gets every event, and no reset. */
export const FAULTS: Record<string, Fault> = {
  'subscriber connections are killed repeatedly': async ({ admin, random }) => {
    for (let left = random.between(1, 6); left > 0; left--) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
      await sleep(random.between(5, 150));
    }
  },
  'all connections are killed': async ({ admin }) => {
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => undefined);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
  },
  'connections break before a subscription is confirmed': async ({ nodes, random }) => {
    const { proxy } = random.of(nodes);
    proxy.cutSubscribe = true;
    proxy.cut();
    await sleep(random.between(100, 1_500));
    proxy.cutSubscribe = false;
  },
  'network connections break': async ({ proxies, random }) => random.of(proxies).cut(),
  'a network is down for a while': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.refuse = true;
    proxy.cut();
    await sleep(random.between(100, 1_500));
    proxy.refuse = false;
  },
  'a network drops all packets silently': async ({ proxies, random }) => {
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
  'single Pub/Sub messages are lost while the connection stays open': async ({ nodes, random }) => {
    const { proxy } = random.of(nodes);
    proxy.dropMessage = () => random.next() < 0.1;
    await sleep(random.between(200, 1_500));
    proxy.dropMessage = undefined;
  },
  'replies and messages from Redis are delayed': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.holdDown = true;
    await sleep(random.between(50, 800));
    proxy.holdDown = false;
  },
  'a network is slow and delivers single bytes': async ({ proxies, random }) => {
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
    // More than the socket buffers hold.
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
  'Redis hangs until connections time out': async ({ server, random }) => {
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
    // The script may start only now.
    await until(async () => {
      await admin.script('KILL').catch(() => undefined);
      return ended;
    });
    await running;
    // Otherwise a script of the module that waits for the processor would exceed the limit.
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
  'a node is killed and another node starts': async (rig) => {
    const node = rig.mortal();
    rig.forget(node);
    await node.kill();
    await rig.startNode();
  },
  'Redis runs out of memory': async ({ admin, random }) => {
    await admin.config('SET', 'maxmemory', '1mb');
    await sleep(random.between(50, 700));
    await admin.config('SET', 'maxmemory', '0');
  },
  'Redis accepts no further connections': async ({ admin, nodes, random }) => {
    await admin.config('SET', 'maxclients', '1');
    random.of(nodes).proxy.cut();
    await sleep(random.between(50, 1_500));
    await admin.config('SET', 'maxclients', '10000');
  },
  'a permission of the Redis user is revoked': async ({ admin, random }) => {
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
  'Redis is killed and loads its data slowly': async ({ server, publishers }) => {
    const events = publishers.reduce((sum, { outcomes }) => sum + outcomes.length, 0);
    await server.kill();
    // Redis sleeps for some 60 µs at one of this many stored commands, about 5 for an event: 6 s in total.
    await server.start('--key-load-delay', `${-Math.ceil(events / 20_000)}`);
  },
  ...UNKIND_FAULTS,
};

/** Faults in which Redis loses events: clients get a reset, or continue with the remaining events. */
export const LOSSY_FAULTS: Record<string, Fault> = {
  'Redis loses all its data': async (rig) => {
    rig.lose(...rig.channels);
    await rig.admin.flushall();
  },
  'Redis is killed and restarted without its data': async (rig) => {
    rig.lose(...rig.channels);
    await rig.server.killAndErase();
    await rig.server.start();
  },
  'Redis evicts keys because it is short of memory': async (rig) => {
    rig.lose(...rig.channels);
    await rig.admin.config('SET', 'maxmemory-policy', 'allkeys-random');
    await rig.admin.config('SET', 'maxmemory', '1mb');
    await sleep(rig.random.between(50, 300));
    await rig.admin.config('SET', 'maxmemory', '0');
    await rig.admin.config('SET', 'maxmemory-policy', 'noeviction');
  },
  'Redis fails over to a lagging replica': async (rig) => {
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
  /** Whether to continue after `ms` until each fault has happened. */
  readonly each?: boolean;
  readonly tell?: (progress: string) => unknown;
  /** Runs after a fault that began at that time. */
  readonly pause?: (fault: string, beganAt: number) => Promise<unknown>;
}

/** Causes one fault after the other, with pauses. */
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
    // Each fault once, then random ones.
    const name = names.find((fault) => !happened.has(fault)) ?? rig.random.of(names);
    happened.set(name, (happened.get(name) ?? 0) + 1);
    rig.sightings.fault = name;
    tell?.(`${Math.round((end - beganAt) / 1_000)} s left: ${name}`);
    await faults[name]!(rig);
    await pause(name, beganAt);
  }
  return happened;
}

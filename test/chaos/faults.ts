import { setTimeout as sleep } from 'node:timers/promises';
import type { Rig } from './rig.js';

/** Something that happens to the rig, and is over when it resolves. */
export type Fault = (rig: Rig) => Promise<void>;

/** Faults in which Redis loses nothing: every client gets every event, and no reset. */
export const FAULTS: Record<string, Fault> = {
  'subscriber connections are killed': async ({ admin }) => {
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
  },
  'all connections are killed': async ({ admin }) => {
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => undefined);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
  },
  'a network breaks': async ({ proxies, random }) => random.of(proxies).cut(),
  'a network is down for a while': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.refuse = true;
    proxy.cut();
    await sleep(random.between(100, 1_500));
    proxy.refuse = false;
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
  'what the server sends is late': async ({ proxies, random }) => {
    const proxy = random.of(proxies);
    proxy.holdDown = true;
    await sleep(random.between(50, 800));
    proxy.holdDown = false;
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
    const running = other.eval('while true do end', 0).catch(() => undefined);
    await sleep(random.between(50, 700));
    await admin.script('KILL').catch(() => undefined);
    await running;
    other.disconnect();
  },
  'a node is busy': async ({ nodes, random }) => {
    const ms = Math.floor(random.between(100, 1_500));
    const headers = { connection: 'close' };
    const response = await fetch(`http://127.0.0.1:${random.of(nodes).port}/block/${ms}`, { headers });
    await response.text();
  },
  'a node is killed, and another one started': async (rig) => {
    const [node] = rig.nodes.splice(rig.random.below(rig.nodes.length), 1);
    node!.process.kill('SIGKILL');
    node!.proxy.close();
    await rig.startNode();
  },
  'Redis has no memory left': async ({ admin, random }) => {
    await admin.config('SET', 'maxmemory', '1mb');
    await sleep(random.between(50, 700));
    await admin.config('SET', 'maxmemory', '0');
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
};

/** Faults in which Redis loses events: clients are told, or go on from what there is. */
export const LOSSY_FAULTS: Record<string, Fault> = {
  'Redis loses everything': async ({ admin }) => {
    await admin.flushall();
  },
  'Redis loses a history': async ({ admin, random }) => {
    await admin.del(`sse:{${random.of(['a', 'b', 'c'])}}:history`);
  },
  'a replica that lags takes over': (rig) => rig.failOver(rig.random.between(50, 500)),
  'Redis loses a position': async ({ admin, random }) => {
    await admin.del(`sse:{${random.of(['a', 'b', 'c'])}}:meta`);
  },
};

/** Lets one fault after the other happen, with pauses. */
export async function disturb(
  rig: Rig,
  { faults, ms, tell }: { faults: Record<string, Fault>; ms: number; tell: (progress: string) => unknown },
): Promise<Map<string, number>> {
  const happened = new Map<string, number>();
  const names = Object.keys(faults);
  for (const end = Date.now() + ms; Date.now() < end;) {
    // Each at least once, then by chance.
    const name = names.find((each) => !happened.has(each)) ?? rig.random.of(names);
    happened.set(name, (happened.get(name) ?? 0) + 1);
    tell(`${Math.round((end - Date.now()) / 1_000)} s left: ${name}`);
    await faults[name]!(rig);
    await sleep(rig.random.between(50, 700));
  }
  return happened;
}

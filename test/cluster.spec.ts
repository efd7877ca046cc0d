import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { Cluster } from 'ioredis';
import type { SseError, SseModuleOptions } from 'nestjs-sse-channels';
import { RedisSseBroker } from '../src/broker/redis.broker.js';
import { checkPublication } from '../src/event.js';
import { HISTORY_DEFAULTS } from '../src/sse.options.js';
import { slotOf, TestCluster } from './support/cluster.js';
import { ClusterSupply } from './support/cluster-supply.js';
import { watchLog } from './support/log.js';
import { Proxy } from './support/proxy.js';
import { type RedisServer, startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

const MODES = [
  ['classic', false],
  ['sharded', true],
] as const;
/** One on each of three masters, and some that look like keys. */
const CHANNELS = ['a', 'b', 'c', 'news:1', 'user@example', '~/x', '0', 'A-b_c.d'];

/** That nothing is lost on the way, whatever happens to masters and slots: `test/chaos/topologies.faults.ts`. */
describe('In a Redis Cluster', () => {
  const clusters = new ClusterSupply();
  const brokers: RedisSseBroker[] = [];
  const onTestEnd: (() => void)[] = [];
  const { failed, warned, logged } = watchLog();
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    for (const end of onTestEnd.splice(0)) end();
  });

  const start = (redis: NonNullable<SseModuleOptions['redis']>, maxEvents = 10_000) => {
    const broker = new RedisSseBroker(redis, 'sse:', { ...HISTORY_DEFAULTS, maxEvents, explicit: true });
    brokers.push(broker);
    return broker;
  };
  const publish = (broker: RedisSseBroker, channel: string, data: unknown, options = {}) =>
    broker.publish(channel, checkPublication(data, options, 1_000));
  const subscribe = (broker: RedisSseBroker, channel: string) => {
    const calls: string[] = [];
    broker.subscribe(channel, {
      onSubscribed: () => calls.push('subscribed'),
      onInterrupted: () => calls.push('interrupted'),
      onMessage: (text) => calls.push(String((JSON.parse(text) as { data: unknown }).data)),
    });
    return calls;
  };
  const settled = (...all: string[][]) => until(() => all.every((calls) => calls.at(-1) === 'subscribed'));
  /** The slot of a channel is on its way; its keys are carried by the test, if they are to be. */
  const halfway = async (cluster: TestCluster, channel: string) => {
    const migration = await cluster.migrate(channel, await cluster.otherThanOwnerOf(channel));
    const carry = (name: string) => migration.carry(`sse:{${channel}}:${name}`);
    return { ...migration, carry };
  };
  const refused = async (cluster: TestCluster, server: RedisServer, errors = /errorstat_TRYAGAIN/) =>
    until(
      async () => String(await cluster.call(server, 'INFO', 'errorstats')),
      (text) => errors.test(text),
    );

  /** Options that lead to the servers through a proxy each, and those, by the servers’ ports. */
  const throughProxies = async (cluster: TestCluster) => {
    const proxies = new Map<number, Proxy>();
    for (const { port } of cluster.servers) proxies.set(port, await Proxy.start(port));
    const through = (port: number) => ({
      host: '127.0.0.1',
      port: Number(new URL(proxies.get(port)!.url).port),
    });
    const nodes = cluster.servers.map(({ port }) => through(port));
    const natMap = (address: string) => through(Number(address.split(':')[1]));
    onTestEnd.push(() => [...proxies.values()].forEach((proxy) => proxy.close()));
    return { proxies, nodes, natMap };
  };

  it.each(MODES)(
    '%s: publishes, receives and reads every channel, wherever it is, with all its keys in one slot',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      const redis = { ...cluster.options, shardedSubscribers };
      const [one, other] = [start(redis), start(redis)];
      const calls = CHANNELS.map((channel) => subscribe(other, channel));
      await settled(...calls);
      await other.opened();
      expect(other.state).toBe('up');
      for (const channel of CHANNELS) {
        await publish(one, channel, 1);
        await publish(one, channel, 2, { transient: true });
        await publish(one, channel, 3, { id: `of-${channel}`, idempotencyKey: 'key' });
      }
      await until(() => calls.every((each) => each.join() === 'subscribed,1,2,3'));
      for (const channel of CHANNELS) {
        const { events } = await other.read(channel, ['0000000000-0'], 10);
        expect(events.map(({ json }) => JSON.parse(json) as unknown)).toEqual([1, 3]);
        const { after, tip } = await one.read(channel, [`of-${channel}`], 10);
        expect(after).toBe(tip);
      }
      for (const master of await cluster.masters()) {
        for (const key of (await cluster.call(master, 'KEYS', '*')) as string[]) {
          const [, channel] = /^sse:\{(.*?)\}:/.exec(key)!;
          expect([key, calculateSlot(key)]).toEqual([key, slotOf(channel!)]);
        }
      }
      // One connection to each master, and those that receive.
      const names = (await cluster.connections()).flat().toSorted();
      const receiving = Array<string>(shardedSubscribers ? 3 : 1).fill('subscriber');
      expect(names).toEqual([...Array<string>(6).fill('commands'), ...receiving]);
      expect([failed.mock.calls, warned.mock.calls]).toEqual([[], []]);
    },
  );

  it.each(MODES)(
    '%s: goes on with a channel that has moved, and has moved back',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      const [one, other] = [start(cluster.options), start({ ...cluster.options, shardedSubscribers })];
      const sender = shardedSubscribers ? other : one;
      const calls = subscribe(other, 'a');
      await settled(calls);
      const home = await cluster.ownerOf('a');
      const away = await cluster.otherThanOwnerOf('a');
      for (const [n, master] of [away, home, away].entries()) {
        await cluster.move('a', master);
        const arrives = async () => {
          await publish(sender, 'a', `after ${n}`);
          return calls.at(-1) === `after ${n}`;
        };
        await until(arrives);
      }
      expect(await cluster.ownerOf('a')).toBe(away);
    },
  );

  it('publishes and reads while a slot is moved: waits for a half, and follows the whole', async () => {
    const cluster = await clusters.take();
    const broker = start(cluster.options);
    const ids = [await publish(broker, 'a', 1)];
    const { from, to, carry } = await halfway(cluster, 'a');
    // All that it needs is still there, although there are no keys of ids.
    ids.push(await publish(broker, 'a', 2));
    await carry('history');
    const waiting = [3, 4].map((n) => publish(broker, 'a', n));
    const read = broker.read('a', [ids[0]!], 10);
    let done = false;
    void waiting[0]!.then(() => (done = true));
    await refused(cluster, from);
    await publish(broker, 'b', 1);
    expect(done).toBe(false);
    await carry('meta');
    ids.push(...(await Promise.all(waiting)));
    expect((await read).after).toBe(ids[0]);
    ids.push(await publish(broker, 'a', 5));
    const { events } = await broker.read('a', [ids[0]!], 10);
    expect(events.map(({ cursor }) => cursor)).toEqual(ids.slice(1));
    expect(String(await cluster.call(to, 'INFO', 'commandstats'))).toContain('cmdstat_asking');
  });

  it.each(MODES)(
    '%s: takes all that was called at once where the slot had moved',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      const broker = start({ ...cluster.options, shardedSubscribers });
      const first = await publish(broker, 'a', 'first');
      await cluster.move('a', await cluster.otherThanOwnerOf('a'));
      const kinds = [{}, { transient: true }, { id: 'own' }, { idempotencyKey: 'key' }];
      const mixed = kinds.map((options, n) => publish(broker, 'a', `mixed ${n}`, options));
      const burst = Array.from({ length: 1_000 }, (__, n) => publish(broker, 'a', n));
      const outcomes = await Promise.allSettled([...mixed, ...burst]);
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
      const { events } = await broker.read('a', [first], 10);
      expect(events.map(({ json }) => JSON.parse(json) as unknown).slice(0, 5)).toEqual([
        'mixed 0',
        'mixed 2',
        'mixed 3',
        0,
        1,
      ]);
    },
  );

  it.each<[string, object, object]>([
    ['an id of its own', { id: 'own' }, {}],
    ['an idempotency key', { idempotencyKey: 'key' }, {}],
    ['nothing but its channel', {}, { transient: true }],
  ])('what comes behind does not overtake an event that waits with %s', async (_, waits, follows) => {
    const cluster = await clusters.take();
    const broker = start(cluster.options);
    await publish(broker, 'a', 1);
    const { from, carry, end } = await halfway(cluster, 'a');
    await carry('meta');
    const outcomes = Promise.allSettled([publish(broker, 'a', 2, waits), publish(broker, 'a', 3, follows)]);
    await refused(cluster, from);
    await end();
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  });

  it('keeps the ids of publishers where their hash is full while a slot is moved', async () => {
    const cluster = await clusters.take();
    const broker = start(cluster.options, 3);
    for (let n = 0; n < 6; n++) await publish(broker, 'a', n, { id: `own-${n}` });
    const { from, end } = await halfway(cluster, 'a');
    const waiting = publish(broker, 'a', 6, { id: 'own-6' });
    await refused(cluster, from, /errorstat_(TRYAGAIN|ERR)/);
    await end();
    await waiting;
    for (const id of ['own-4', 'own-5', 'own-6']) {
      expect([id, (await broker.read('a', [id], 10)).after]).toEqual([id, expect.any(String)]);
    }
  });

  it('tells of a sharded subscription that has ended, also where the channel is back', async () => {
    const cluster = await clusters.take();
    const broker = start({ ...cluster.options, shardedSubscribers: true });
    const calls = subscribe(broker, 'a');
    await settled(calls);
    const home = await cluster.ownerOf('a');
    await cluster.move('a', await cluster.otherThanOwnerOf('a'));
    await cluster.move('a', home);
    await until(() => calls.length > 1 && calls.at(-1) === 'subscribed');
    expect(calls.slice(0, 2)).toEqual(['subscribed', 'interrupted']);
    // It may have to hear from all masters until it stays.
    const arrives = async () => {
      await publish(broker, 'a', 'next');
      return calls.at(-1) === 'next';
    };
    await until(arrives);
    expect([failed.mock.calls, warned.mock.calls]).toEqual([[], []]);
  });

  it.each(MODES)(
    '%s: leaves no connection open where it is closed while it begins',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      for (let n = 0; n < 15; n++) {
        const broker = start({ ...cluster.options, shardedSubscribers });
        for (const channel of CHANNELS) subscribe(broker, channel);
        publish(broker, 'a', n).catch(() => undefined);
        await sleep(2 * n);
        await broker.close();
      }
      const connections = async () => (await cluster.connections()).flat().length;
      await until(connections, (count) => count === 0);
      // Whatever was begun has had its time.
      await sleep(1_000);
      expect(await connections()).toBe(0);
    },
  );

  it('takes the password that any of the nodes has', async () => {
    const cluster = await clusters.take();
    for (const server of cluster.servers)
      await cluster.call(server, 'CONFIG', 'SET', 'requirepass', 'secret');
    const [one, other] = cluster.servers;
    const broker = start({ nodes: [one!.port, `redis://:secret@127.0.0.1:${other!.port}`] });
    await Promise.all(['a', 'b', 'c'].map((channel) => publish(broker, channel, 1)));
  });

  it('a master that is gone holds up its own channels only, until its replica has taken over', async () => {
    const cluster = await TestCluster.start();
    const broker = start(cluster.options);
    for (const channel of CHANNELS) await publish(broker, channel, 1);
    const master = await cluster.ownerOf('a');
    const begun = performance.now();
    const killed = cluster.kill(master, 'a').then(() => performance.now() - begun);
    await until(() => !master.isRunning);
    let outcome = '';
    const waiting = publish(broker, 'a', 2).then(
      () => (outcome = 'stored'),
      ({ code }: SseError) => (outcome = code),
    );
    for (let n = 0; n < 20; n++) await publish(broker, 'b', n);
    expect(outcome).toBe('');
    expect(broker.state).toBe('down');
    await waiting;
    // On a busy machine the replica may take over later than a publication waits.
    expect(outcome).toEqual(
      (await killed) > 3_500 ? expect.stringMatching(/^stored$|^SSE_UNAVAILABLE$/) : 'stored',
    );
    await until(() => broker.state === 'up');
    expect(warned.mock.calls.flat().filter((line) => /out of reach/.test(String(line)))).toHaveLength(1);
    await until(() => logged.mock.calls.flat().some((line) => /is back/.test(String(line))));
  });

  it('sends reads that wait for a dead master to its replica as soon as that has taken over', async () => {
    const cluster = await TestCluster.start();
    const broker = start(cluster.options);
    await publish(broker, 'a', 0);
    // Named by a redirection, a server is kept in reach for a while, whatever becomes of it.
    const master = await cluster.otherThanOwnerOf('a');
    await cluster.move('a', master);
    await publish(broker, 'a', 1);
    await master.kill();
    await until(() => broker.state === 'down');
    const late: string[] = [];
    const done: unknown[] = [];
    const reads: Promise<unknown>[] = [];
    const fail = ({ message }: Error) => broker.state === 'up' && late.push(message);
    while (done.length === 0) {
      reads.push(broker.read('a', [], 0).then((page) => done.push(page), fail));
      await sleep(50);
    }
    await within(1_000, 'Reads', Promise.all(reads));
    expect(late).toEqual([]);
  });

  it.each<[string, (ports: number[]) => NonNullable<SseModuleOptions['redis']>]>([
    ['a Cluster', (ports) => new Cluster(ports, { lazyConnect: true, keyPrefix: 'app:' })],
    ['a URL of one node', ([port]) => ({ nodes: [`redis://127.0.0.1:${port}`], keyPrefix: 'app:' })],
    [
      'an address of one node',
      ([, port]) => ({ nodes: [`127.0.0.1:${port}`], redisOptions: { keyPrefix: 'app:' } }),
    ],
  ])('takes %s, with its keyPrefix', async (_, given) => {
    const cluster = await clusters.take();
    const redis = given(cluster.servers.map(({ port }) => port));
    const broker = start(redis);
    await Promise.all(['a', 'b', 'c'].map((channel) => publish(broker, channel, 1)));
    const admin = cluster.admin();
    expect(await admin.exists('app:sse:{a}:history')).toBe(1);
    admin.disconnect();
    if (redis instanceof Cluster) expect(redis.status).toBe('wait');
  });

  it('reaches servers by a natMap alone', async () => {
    const cluster = await clusters.take();
    const { proxies, nodes, natMap } = await throughProxies(cluster);
    // By a name of its own, which is of no more use once it has told of all.
    const broker = start({ nodes: [{ ...nodes[0]!, host: 'localhost' }], natMap });
    const calls = subscribe(broker, 'a');
    await settled(calls);
    await Promise.all(['a', 'b', 'c'].map((channel) => publish(broker, channel, 1)));
    const connections = async () => (await cluster.connections()).flat().length;
    await until(connections, (count) => count === 4);
    for (const proxy of proxies.values()) {
      proxy.refuse = true;
      proxy.cut();
    }
    await until(connections, (count) => count === 0);
    for (const proxy of proxies.values()) proxy.refuse = false;
    await until(() => broker.state === 'up');
  });

  it('leaves a server that the address of another has led to', async () => {
    const cluster = await clusters.take();
    const { proxies, ...options } = await throughProxies(cluster);
    const broker = start({ ...options, shardedSubscribers: true });
    const calls = subscribe(broker, 'a');
    await settled(calls);
    const [owner, other] = [await cluster.ownerOf('a'), await cluster.otherThanOwnerOf('a')];
    const proxy = proxies.get(owner.port)!;
    proxy.target = other.port;
    proxy.cut();
    await refused(cluster, other, /errorstat_MOVED/);
    proxy.target = owner.port;
    await until(async () => {
      await publish(broker, 'a', 'next');
      return calls.at(-1) === 'next';
    });
  });

  it('receives from another master where nothing arrives from the one that it has received from', async () => {
    const cluster = await clusters.take();
    const { proxies, ...options } = await throughProxies(cluster);
    const broker = new RedisSseBroker(options, 'sse:', undefined, 100);
    brokers.push(broker);
    const calls = subscribe(broker, 'a');
    await settled(calls);
    const home = async () => {
      const receives = (await cluster.connections()).findIndex((names) => names.includes('subscriber'));
      return cluster.servers[receives]?.port;
    };
    const deaf = (await home())!;
    proxies.get(deaf)!.dropMessage = () => true;
    await until(async () => {
      await publish(broker, 'a', 'next');
      return calls.at(-1) === 'next';
    });
    expect(await home()).not.toBe(deaf);
  });

  it('goes on where a channel has been if it was to go where nobody can be reached', async () => {
    const cluster = await clusters.take();
    const { proxies, ...options } = await throughProxies(cluster);
    const broker = start(options);
    await until(() => broker.state === 'up');
    const { from, to } = await halfway(cluster, 'a');
    const proxy = proxies.get(to.port)!;
    proxy.refuse = true;
    proxy.cut();
    const waiting = publish(broker, 'a', 1);
    await refused(cluster, from, /errorstat_ASK/);
    for (const server of [from, to]) await cluster.call(server, 'CLUSTER', 'SETSLOT', slotOf('a'), 'STABLE');
    await waiting;
  });

  it('is down while there are slots that no master has', async () => {
    const cluster = await clusters.take();
    const broker = start(cluster.options);
    await until(() => broker.state === 'up');
    const owner = await cluster.ownerOf('a');
    for (const server of cluster.servers) {
      await cluster.call(server, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
    }
    // A server that has forgotten the slot learns of it again from one that has not. Redis refuses where nobody knows it.
    await until(async () => {
      const calls = cluster.servers.map((server) => cluster.call(server, 'CLUSTER', 'DELSLOTS', slotOf('a')));
      return (await Promise.allSettled(calls)).every(({ status }) => status === 'rejected');
    });
    await until(() => broker.state === 'down');
    await expect(publish(broker, 'a', 1)).rejects.toThrow('CLUSTERDOWN');
    await publish(broker, 'b', 1);
    await cluster.call(owner, 'CLUSTER', 'ADDSLOTS', slotOf('a'));
    await until(() => broker.state === 'up');
    await publish(broker, 'a', 1);
  });

  it('finds a cluster whose servers all have other addresses, by what it was given', async () => {
    const [before, after] = [await clusters.take(), await clusters.take()];
    const entrance = await Proxy.start(before.servers[0]!.port);
    const broker = start({ nodes: [entrance.url] });
    const calls = subscribe(broker, 'a');
    await settled(calls);
    await publish(broker, 'a', 'before');
    entrance.target = after.servers[0]!.port;
    entrance.cut();
    await Promise.all(before.servers.map((server) => server.kill()));
    const again = () =>
      publish(broker, 'a', 'after').then(
        () => calls.at(-1) === 'after',
        () => false,
      );
    await until(again);
    entrance.close();
  });

  it('says what is wrong where a node is given as if it were alone, or one that is alone as a node', async () => {
    const [cluster, alone] = [await clusters.take(), await startRedis()];
    await start(cluster.servers[0]!.url).opened();
    expect(String(warned.mock.calls.flat()[0])).toContain('{ nodes: [');
    const misled = start({ nodes: [alone.port] });
    await within(8_000, 'the error', expect(misled.opened()).rejects.toThrow('cluster support disabled'));
    expect(String(failed.mock.calls.flat()[0])).toContain('cluster support disabled');
  });
});

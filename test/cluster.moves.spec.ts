import { describe, expect, it } from '@jest/globals';
import { slotOf } from './support/cluster.js';
import { clusterBrokers, MODES } from './support/cluster-brokers.js';
import { watchLog } from './support/log.js';
import { until } from './support/until.js';

/** `test/chaos/topologies.faults.ts` shows that no event is lost when masters fail and slots move. */
describe('In a Redis Cluster whose slots move', () => {
  const { clusters, start, publish, subscribe, settled, halfway, refused, throughProxies } = clusterBrokers();
  const { failed, warned } = watchLog();

  it.each(MODES)(
    '%s: follows a channel that moves to another master, back and forth',
    async (_, shardedSubscribers) => {
      const cluster = await clusters.take();
      const [one, other] = [start(cluster.options), start({ ...cluster.options, shardedSubscribers })];
      const sender = shardedSubscribers ? other : one;
      const calls = subscribe(other, 'a');
      await settled(calls);
      const first = await cluster.ownerOf('a');
      const second = await cluster.otherThanOwnerOf('a');
      for (const [n, master] of [second, first, second].entries()) {
        await cluster.move('a', master);
        const arrives = async () => {
          await publish(sender, 'a', `after ${n}`);
          return calls.at(-1) === `after ${n}`;
        };
        await until(arrives);
      }
      expect(await cluster.ownerOf('a')).toBe(second);
    },
  );

  it('publishes and reads while a slot migrates: waits while only some keys have moved, then follows them', async () => {
    const cluster = await clusters.take();
    const broker = start(cluster.options);
    const ids = [await publish(broker, 'a', 1)];
    const { from, to, carry } = await halfway(cluster, 'a');
    // All keys that this publication needs are still there. The keys of ids, which do not exist, are not named.
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
    '%s: stores a burst of publications in call order after the slot has moved',
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
    ['only its channel', {}, { transient: true }],
  ])('does not let a later event overtake an event that waits with %s', async (_, waits, follows) => {
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

  it('keeps the ids of publishers if their hash is full while a slot migrates', async () => {
    const cluster = await clusters.take();
    const broker = start(cluster.options, { maxEvents: 3 });
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

  it('reports that a sharded subscription is interrupted, even if the channel is back on its first master', async () => {
    const cluster = await clusters.take();
    const broker = start({ ...cluster.options, shardedSubscribers: true });
    const calls = subscribe(broker, 'a');
    await settled(calls);
    const first = await cluster.ownerOf('a');
    await cluster.move('a', await cluster.otherThanOwnerOf('a'));
    await cluster.move('a', first);
    await until(() => calls.length > 1 && calls.at(-1) === 'subscribed');
    expect(calls.slice(0, 2)).toEqual(['subscribed', 'interrupted']);
    // Until all masters agree on the owner, the subscription may be interrupted again.
    const arrives = async () => {
      await publish(broker, 'a', 'next');
      return calls.at(-1) === 'next';
    };
    await until(arrives);
    expect([failed.mock.calls, warned.mock.calls]).toEqual([[], []]);
  });

  it('publishes to the old master of a channel if the new one is unreachable and the migration is cancelled', async () => {
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
});

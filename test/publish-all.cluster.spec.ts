import { describe, expect, it } from '@jest/globals';
import type { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { CHANNELS, clusterBrokers, MODES } from './support/cluster-brokers.js';
import { numbers, publishList } from './support/publishing.js';
import { until } from './support/until.js';

describe.each(MODES)('Lists of events in a Redis Cluster, %s Pub/Sub', (_, shardedSubscribers) => {
  const { clusters, start, publish, subscribe, settled, halfway } = clusterBrokers();

  const read = async (broker: RedisSseBroker, channel: string) => {
    const { events } = await broker.read(channel, ['0000000000-0'], 100);
    return events.map(({ json }) => JSON.parse(json) as unknown);
  };

  it('reach the channels of every master', async () => {
    const cluster = await clusters.take();
    const redis = { ...cluster.options, shardedSubscribers };
    const [one, other] = [start(redis), start(redis)];
    const calls = CHANNELS.map((channel) => subscribe(other, channel));
    await settled(...calls);
    const list = [
      { data: 0 },
      { data: 1, id: 'own' },
      { data: 2, idempotencyKey: 'k' },
      { data: 3, transient: true },
    ];
    const lists = CHANNELS.map((channel) => publishList(one, list, channel));
    const ids = await Promise.all(lists);
    expect(ids.map((each) => [each[1], each[3]])).toEqual(CHANNELS.map(() => ['own', '']));
    const sent = [4, 5].map((data) => ({ data, transient: true }));
    await Promise.all(CHANNELS.map((channel) => publishList(one, sent, channel)));
    await until(() => calls.every((each) => each.join() === 'subscribed,0,1,2,3,4,5'));
    for (const channel of CHANNELS) expect(await read(other, channel)).toEqual([0, 1, 2]);
  });

  it('follow a channel that moves, in order', async () => {
    const cluster = await clusters.take();
    const broker = start({ ...cluster.options, shardedSubscribers });
    await publish(broker, 'a', 0);
    const calls = subscribe(broker, 'a');
    await settled(calls);
    const migration = await halfway(cluster, 'a');
    const before = publishList(broker, [{ data: 1 }, { data: 2 }], 'a');
    for (const name of ['history', 'meta']) await migration.carry(name);
    const transient = ['sent', 'too'].map((data) => ({ data, transient: true }));
    const sent = publishList(broker, transient, 'a');
    const after = publishList(broker, [{ data: 3 }, { data: 4 }], 'a');
    await Promise.all([before, sent, after]);
    await until(() => calls.includes('too'));
    await migration.end();
    await publishList(broker, [{ data: 5 }, { data: 6 }], 'a');
    expect(await read(broker, 'a')).toEqual(numbers(7));
  });
});

import { afterEach, describe, expect, it } from '@jest/globals';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { Channels } from '../src/channel/channels.js';
import { checkPublication } from '../src/event/event.js';
import { HISTORY_DEFAULTS } from '../src/options/sse.options.js';
import { slotOf, TestCluster } from './support/cluster.js';
import { watchLog } from './support/log.js';
import { Recorder } from './support/slow-broker.js';
import { until, within } from './support/until.js';

describe('A dead master without a replica', () => {
  const brokers: RedisSseBroker[] = [];
  watchLog();
  afterEach(() => Promise.all(brokers.splice(0).map((broker) => broker.close())));

  it('delays no channel of other masters, for any number of connections that wait for its channels', async () => {
    const cluster = await TestCluster.start({ replicas: 0 });
    for (const server of cluster.servers) {
      await cluster.call(server, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
    }
    const broker = new RedisSseBroker(cluster.options, 'sse:', { ...HISTORY_DEFAULTS, explicit: true });
    brokers.push(broker);
    const channels = new Channels(broker);
    const master = await cluster.ownerOf('a');
    const thirdOf = (channel: string) => Math.floor(slotOf(channel) / 5_461);
    const names = Array.from({ length: 1_000 }, (_, n) => `channel-${n}`);
    const lost = names.filter((name) => thirdOf(name) === thirdOf('a')).slice(0, 300);
    const healthy = names.filter((name) => thirdOf(name) !== thirdOf('a'));
    const publish = (channel: string, data: unknown) =>
      broker.publish(channel, checkPublication(data, {}, 1_000));
    expect(lost).toHaveLength(300);
    await master.kill();
    await until(() => broker.state === 'down');
    for (const name of lost) channels.subscribe([name], new Recorder());
    const recorder = new Recorder();
    const { ready } = channels.subscribe([healthy[1]!], recorder);
    await within(10_000, 'The channel of a healthy master', ready);
    await publish(healthy[1]!, 'after');
    await until(() => recorder.events.some(({ data }) => data === 'after'));
    const both = new Recorder();
    channels.subscribe([lost[0]!, healthy[2]!], both);
    await until(() => both.opens.length > 0);
    const [{ id, live }] = both.opens as [{ id?: string; live: readonly string[] }];
    expect(live).toEqual([healthy[2]]);
    await publish(healthy[2]!, 'first');
    await until(() => both.data.includes('first'));
    // An id without a part for the channel of the dead master resumes the other channel.
    const again = new Recorder();
    channels.subscribe([lost[0]!, healthy[2]!], again, { lastEventId: id });
    await until(() => again.data.includes('first'));
    channels.close();
  });
});

import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { at, Recorder, startHub } from '../../test/support/hub.js';
import { until } from '../../test/support/until.js';
import type { ModelBroker } from '../../test/support/model-broker.js';
import { noMetrics } from './channel-metrics.js';

describe('A replay that cannot continue', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('resets a client with an unknown or malformed position', async () => {
    const { broker, attach, live } = startHub();
    await live();
    const ids = [at(1_000), 'other', 'not even an id', 'é', `0${at(5)}`];
    const recorders = ids.map((id) => attach(id));
    await until(() => recorders.every(({ calls }) => calls.length === 2));
    expect(recorders.map(({ calls }) => calls[1])).toEqual([
      'reset lost 5',
      'reset unknown 5',
      'reset unknown 5',
      'reset unknown 5',
      'reset unknown 5',
    ]);
    expect(broker.reads).toBe(2);
  });

  it('resets a client at the position of the hub once the hub is live again', async () => {
    const { hub, broker, publish, live } = startHub();
    await live();
    const client = new Recorder();
    const start = hub.attach(client, 'not even an id')!;
    broker.interrupt();
    publish(2);
    start();
    await turn();
    expect(client.calls).toEqual(['open 5']);
    broker.connect();
    await until(() => client.calls.length > 1);
    expect(client.calls).toEqual(['open 5', 'reset unknown 7']);
  });

  it.each([
    ['events', { maxReplayEvents: 10 }],
    ['characters', { maxReplayBytes: 500 }],
  ])('resets a client that has missed too many %s', async (_, limit) => {
    const { broker, publish, attach, live } = startHub(limit);
    publish(20);
    await live();
    const [far, near] = [attach(at(10)), attach(at(15))];
    await until(() => far.calls.length > 1 && near.calls.length > 1);
    expect(far.calls).toEqual(['open 10', 'reset limit 25']);
    expect(near.calls).toHaveLength(11);
    // Now the ring contains them.
    publish(10);
    broker.deliver();
    expect(attach(at(20)).calls).toEqual(['open 20', 'reset limit 35']);
  });

  it('resets a client that has missed more than the limits over several pages, without sending a page', async () => {
    const { publish, attach, live } = startHub({ maxReplayEvents: 150 });
    publish(250);
    await live();
    const recorder = attach(at(10));
    await until(() => recorder.calls.at(-1) === 'reset limit 255');
    expect(recorder.calls).toEqual(['open 10', 'reset limit 255']);
  });

  it.each([
    ['has missed nothing', 'that arrives in a moment', 0, (broker: ModelBroker) => broker.deliver()],
    ['has missed something', 'that does not arrive', 1, (broker: ModelBroker) => (broker.pending = [])],
  ])('resets a client with an invented id, while the hub %s %s', async (_what, _when, gaps, then) => {
    const metrics = noMetrics();
    const { broker, publish, attach, live } = startHub({ metrics });
    await live();
    publish(1);
    const stranger = attach(at(1_000));
    await turn();
    expect(stranger.calls).toEqual(['open 1000']);
    then(broker);
    await until(() => stranger.calls.length === 2);
    expect(stranger.calls).toEqual(['open 1000', 'reset lost 6']);
    expect(metrics.gaps).toBe(gaps);
  });

  it('resets after the hub is live again, unless the subscriber has disconnected', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    await live();
    broker.held = true;
    const [stays, leaves] = [attach(at(1_000)), attach(at(1_001))];
    await turn();
    broker.interrupt();
    broker.release();
    await turn();
    publish(2);
    hub.detach(leaves);
    broker.connect();
    await until(() => stays.calls.length > 1);
    await turn();
    expect(stays.calls).toEqual(['open 1000', 'reset lost 7']);
    expect(leaves.calls).toEqual(['open 1001']);
  });
});

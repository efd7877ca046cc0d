import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { useChannels } from '../../test/support/channels.js';
import { Recorder, SlowBroker } from '../../test/support/slow-broker.js';
import { until } from '../../test/support/until.js';
import { Channels } from './channels.js';

describe('Connections with several channels', () => {
  const rig = useChannels();
  const { publish } = rig;

  const subscribe = (lastEventId?: string, subscriber = new Recorder()) => {
    const subscription = rig.channels.subscribe(['a', 'b'], subscriber, { lastEventId });
    return { subscriber, ready: subscription.ready, unsubscribe: () => subscription.unsubscribe() };
  };

  it.each(['own', 'unknown'])(
    'have no id that is ahead of what was sent, while one channel is still being read (%s)',
    async (id) => {
      await publish('a', 0, { id: 'own' });
      for (const n of [1, 2, 3]) await publish('a', n);
      const { subscriber, ready } = subscribe(id);
      await ready;
      rig.broker.gate = sleep(50);
      await publish('b', 'meanwhile');
      await until(() => subscriber.data.includes('meanwhile'));
      const cut = subscriber.events.slice(0, subscriber.data.indexOf('meanwhile') + 1);
      const again = subscribe(cut.at(-1)!.id).subscriber;
      await until(() => cut.length + again.events.length >= (id === 'own' ? 4 : 3));
      const seen = [...cut, ...again.events].map(({ type, data }) => (type === 'sse.reset' ? type : data));
      expect(seen.toSorted()).toEqual(
        id === 'own' ? [1, 2, 3, 'meanwhile'] : ['meanwhile', 'sse.reset', 'sse.reset'],
      );
    },
  );

  it('end if their subscriber fails, without affecting other connections', async () => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const failing = () =>
      new (class extends Recorder {
        override next(): void {
          throw new Error('this subscriber fails');
        }
      })();
    const id = await publish('a', 0, { id: 'own' });
    const { subscriber: live, ready } = subscribe();
    await ready;
    await publish('a', 1);
    await until(() => live.events.length === 1);
    const composite = await (async () => {
      await publish('a', 2);
      await until(() => live.events.length === 2);
      return live.events[0]!.id;
    })();
    const bad = [subscribe(id, failing()), subscribe(composite, failing()), subscribe('nonsense', failing())];
    await Promise.all(bad.map((each) => each.ready));
    await until(() => bad.every(({ subscriber }) => subscriber.completed));
    expect(logged).toHaveBeenCalled();
    logged.mockRestore();
  });

  it.each([
    ['unsubscribed', ({ unsubscribe }: { unsubscribe: () => void }) => unsubscribe()],
    ['closed', () => rig.channels.close()],
  ])('do not search for a position after they are %s', async (_, end) => {
    const elsewhere = new SlowBroker();
    const others = new Channels(elsewhere);
    const subscribeOther = (id?: string) => others.subscribe(['a', 'b'], new Recorder(), { lastEventId: id });
    await Promise.all([subscribe().ready, subscribeOther().ready]);
    rig.broker.fails = elsewhere.fails = true;
    const gone = subscribe('gone');
    await until(() => rig.broker.asked.filter((position) => position === 'gone').length === 2);
    end(gone);
    subscribeOther('there');
    await until(() => elsewhere.asked.filter((position) => position === 'there').length > 8);
    expect(rig.broker.asked.filter((position) => position === 'gone')).toHaveLength(2);
    others.close();
  });

  it('find an id without reading the following events', async () => {
    for (let n = 0; n < 5; n++) await publish('a', n, { id: `own${n}` });
    const limits = jest.spyOn(rig.broker, 'read');
    const { subscriber } = subscribe('own1');
    await until(() => subscriber.data.length === 3);
    const asked = limits.mock.calls.filter(([, positions]) => JSON.stringify(positions) === '["own1"]');
    expect(asked.map(([, , limit]) => limit)).toEqual([0, 0]);
  });

  it('leave no subscriber that unsubscribes with its first event', async () => {
    for (const n of [0, 1, 2]) await publish('a', n);
    const all = subscribe();
    await all.ready;
    await publish('a', 3);
    await until(() => all.subscriber.events.length === 1);
    await publish('a', 4);
    await publish('b', 5);
    await until(() => all.subscriber.events.length === 3);
    let unsubscribe = () => {};
    const leaving = new (class extends Recorder {
      override next(...delivery: Parameters<Recorder['next']>): void {
        super.next(...delivery);
        unsubscribe();
      }
    })();
    ({ unsubscribe } = subscribe(all.subscriber.events[0]!.id, leaving));
    await publish('a', 6);
    await until(() => all.subscriber.events.length === 4);
    unsubscribe();
    const count = leaving.events.length;
    await publish('a', 7);
    await publish('b', 8);
    await until(() => all.subscriber.events.length === 6);
    expect(leaving.events).toHaveLength(count);
  });
});

describe('A channel of a process', () => {
  let broker: SlowBroker;
  let channels: Channels;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask'] });
    broker = new SlowBroker();
    channels = new Channels(broker);
  });
  afterEach(() => {
    channels.close();
    jest.useRealTimers();
  });

  const subscribe = (channel = 'a') => channels.subscribe([channel], new Recorder());
  const subscribedAfter = (ms: number) => {
    jest.advanceTimersByTime(ms);
    return channels.size;
  };

  it('stays subscribed for a while after its last subscriber has disconnected', () => {
    const [one, two] = [subscribe(), subscribe()];
    one.unsubscribe();
    one.unsubscribe();
    expect(subscribedAfter(60_000)).toBe(1);
    two.unsubscribe();
    expect(subscribedAfter(9_999)).toBe(1);
    const three = subscribe();
    expect(subscribedAfter(60_000)).toBe(1);
    three.unsubscribe();
    expect(subscribedAfter(10_000)).toBe(0);
  });

  it('is audited periodically', async () => {
    const subscription = subscribe();
    await subscription.ready;
    const reads = broker.asked.length;
    jest.advanceTimersByTime(45_000);
    expect(broker.asked.length).toBeGreaterThan(reads);
    subscription.unsubscribe();
  });

  it('is logged once for invalid messages, with a bounded number of such channels', async () => {
    const warned = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    for (let n = 0; n < 1_001; n++) {
      await subscribe(`c${n}`).ready;
      for (const text of ['nonsense', 'more of it']) broker.listeners.get(`c${n}`)!.onMessage(text);
    }
    expect(channels.metrics.dropped).toBe(2_002);
    expect(warned).toHaveBeenCalledTimes(1_000);
    warned.mockRestore();
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { useChannels } from '../../test/support/channels.js';
import { Recorder } from '../../test/support/slow-broker.js';
import { until } from '../../test/support/until.js';
import type { SseEvent } from '../event/event.js';
import { splitLastEventId } from './composite.js';

describe('Connections with several channels, some of which are not live,', () => {
  const rig = useChannels();
  const { publish } = rig;

  const subscribe = (lastEventId?: string) => {
    const subscriber = new Recorder();
    const subscription = rig.channels.subscribe(['a', 'b'], subscriber, { lastEventId });
    return { subscriber, ready: subscription.ready, unsubscribe: () => subscription.unsubscribe() };
  };

  it('begin with the live channels after a second, and add the others later', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    rig.broker.broken.add('b');
    const { subscriber, ready } = subscribe();
    await until(() => subscriber.opens.length === 1);
    await publish('a', 1);
    expect([subscriber.opens[0]!.live, subscriber.data]).toEqual([['a'], [1]]);
    const [{ id }] = subscriber.events as [SseEvent];
    expect(splitLastEventId(['a', 'b'], id)).toEqual(new Map([['a', expect.any(String)]]));
    rig.broker.broken.delete('b');
    await ready;
    await publish('b', 2);
    await publish('a', 3);
    expect(subscriber.opens.slice(1)).toEqual([{ id: expect.any(String), live: ['b'] }]);
    expect(subscriber.data).toEqual([1, 2, 3]);
    // The last id covers both channels, although b had no event.
    const again = subscribe(subscriber.opens[1]!.id).subscriber;
    await until(() => again.data.length === 2);
    expect(again.data.toSorted()).toEqual([2, 3]);
  });

  it('keep the client’s position of a channel that is not live in their ids', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const before = subscribe();
    await before.ready;
    for (const n of [1, 2, 3]) await publish('b', n);
    rig.restart();
    rig.broker.broken.add('b');
    const { subscriber, ready } = subscribe(before.subscriber.opens[0]!.id);
    await until(() => subscriber.opens.length === 1);
    await publish('a', 'meanwhile');
    expect([subscriber.opens[0]!.live, subscriber.data]).toEqual([[], ['meanwhile']]);
    // A reconnection with this id misses nothing.
    const elsewhere = subscribe(subscriber.events[0]!.id);
    rig.broker.broken.delete('b');
    await Promise.all([ready, elsewhere.ready]);
    await until(() => subscriber.data.length === 4 && elsewhere.subscriber.data.length === 3);
    expect(subscriber.data).toEqual(['meanwhile', 1, 2, 3]);
    expect(elsewhere.subscriber.data).toEqual([1, 2, 3]);
  });

  it('do not begin before one of the channels is live', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    rig.broker.broken.add('a').add('b');
    const { subscriber, ready } = subscribe();
    await sleep(1_200);
    expect(subscriber.opens).toEqual([]);
    rig.broker.broken.clear();
    await ready;
    // Together, or one after the other: their reads are retried at different times.
    expect(subscriber.opens.flatMap(({ live }) => live).toSorted()).toEqual(['a', 'b']);
  });

  it('open no further channels if the first channels close them', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    rig.broker.broken.add('b');
    let leave = () => {};
    const leaving = new (class extends Recorder {
      override open(...args: Parameters<Recorder['open']>): void {
        super.open(...args);
        leave();
      }
    })();
    const subscription = rig.channels.subscribe(['a', 'b'], leaving);
    leave = () => subscription.unsubscribe();
    await until(() => leaving.opens.length === 1);
    rig.broker.broken.delete('b');
    await subscribe().ready;
    await publish('b', 1);
    expect([leaving.opens.map(({ live }) => live), leaving.data]).toEqual([[['a']], []]);
  });

  it('wait for all channels if these become live within a second', async () => {
    rig.broker.gate = sleep(300);
    const { subscriber, ready } = subscribe();
    await ready;
    expect(subscriber.opens.map(({ live }) => live)).toEqual([['a', 'b']]);
  });

  it('open a channel that the client adds with its position', async () => {
    const one = new Recorder();
    await rig.channels.subscribe(['a'], one).ready;
    await publish('a', 1);
    const { subscriber, ready } = subscribe(one.events[0]!.id);
    await ready;
    await publish('b', 2);
    expect(subscriber.opens.map(({ live }) => live)).toEqual([['b']]);
    const again = subscribe(subscriber.opens[0]!.id).subscriber;
    await until(() => again.data.length === 1);
    expect(again.data).toEqual([2]);
  });

  it.each([0, 1_200])('open no further channels after they were unsubscribed after %i ms', async (ms) => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    rig.broker.broken.add('b');
    const { subscriber, unsubscribe } = subscribe();
    await sleep(ms);
    unsubscribe();
    rig.broker.broken.delete('b');
    const { ready } = subscribe();
    await ready;
    await publish('b', 1);
    await sleep(1_100);
    expect(subscriber.opens.map(({ live }) => live)).toEqual(ms === 0 ? [] : [['a']]);
    expect(subscriber.data).toEqual([]);
  });
});

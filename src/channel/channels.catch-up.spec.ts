import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Recorder, SlowBroker } from '../../test/support/slow-broker.js';
import { until } from '../../test/support/until.js';
import { checkPublication } from '../event.js';
import { Channels } from './channels.js';
import { formatCompositeCursor, tagOf } from './composite.js';

describe('The channels of a connection that catches up', () => {
  let broker: SlowBroker;
  let channels: Channels;

  beforeEach(() => {
    broker = new SlowBroker();
    channels = new Channels(broker);
  });
  afterEach(() => channels.close());

  const publish = (channel: string, data: unknown) =>
    broker.publish(channel, checkPublication(data, {}, 1_000));

  /** Takes no more than a page, until it is told to go on. */
  class Slow extends Recorder {
    waiting: (() => void)[] = [];

    drained(): Promise<void> {
      return new Promise((resolve) => this.waiting.push(resolve));
    }

    goOn(): void {
      for (const resolve of this.waiting.splice(0)) resolve();
    }
  }

  /** A position in all of them, before a number of events that no ring has. */
  const behind = async (names: readonly string[], count: number) => {
    const parts = new Map<string, string>();
    for (const name of names) {
      parts.set(tagOf(name), (await broker.read(name, [], 0)).tip);
      for (let n = 0; n < count; n++) await publish(name, `${name}${n}`);
    }
    return formatCompositeCursor(parts);
  };
  const NAMES = Array.from({ length: 20 }, (_, n) => `c${n}`);

  it('take turns: each sends a page, and the next page is read once the client has taken that', async () => {
    const id = await behind(NAMES, 150);
    const slow = new Slow();
    await channels.subscribe(NAMES, slow, id).ready;
    const seen: number[] = [];
    while (slow.events.length < NAMES.length * 150) {
      await until(() => slow.waiting.length > 0);
      seen.push(slow.events.length);
      slow.goOn();
      await turn();
    }
    // A page has 100 events; rings have none of them.
    const steps = seen.map((count, n) => count - (seen[n - 1] ?? 0));
    expect(Math.max(...steps)).toBeLessThanOrEqual(100);
    expect(new Set(slow.events.slice(0, 2_000).map(({ channel }) => channel)).size).toBe(NAMES.length);
    for (const name of NAMES) {
      const own = slow.events.filter(({ channel }) => channel === name).map(({ data }) => data);
      expect(own).toEqual(Array.from({ length: 150 }, (_, n) => `${name}${n}`));
    }
  });

  it('take turns also with events that the node holds in memory', async () => {
    const first = channels.subscribe(NAMES, new Recorder());
    await first.ready;
    const id = await behind(NAMES, 50);
    const slow = new Slow();
    await channels.subscribe(NAMES, slow, id).ready;
    for (let n = 1; n <= NAMES.length; n++) {
      await until(() => slow.waiting.length > 0);
      await turn();
      expect(slow.events).toHaveLength(n * 50);
      slow.goOn();
      await turn();
    }
  });

  it('do not wait for a channel that cannot be read, or is not live', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const names = ['a', 'b', 'c', 'd'];
    const id = await behind(names, 150);
    const slow = new Slow();
    await channels.subscribe(names, new Recorder()).ready;
    broker.broken.add('a');
    const { ready } = channels.subscribe(names, slow, id);
    broker.listeners.get('b')!.onInterrupted();
    await ready;
    const dataOf = (name: string) => slow.events.filter(({ channel }) => channel === name).length;
    await until(() => {
      slow.goOn();
      return dataOf('c') === 150 && dataOf('d') === 150;
    });
    expect(dataOf('a') + dataOf('b')).toBe(0);
    broker.broken.delete('a');
    broker.listeners.get('b')!.onSubscribed();
    await until(() => {
      slow.goOn();
      return dataOf('a') === 150 && dataOf('b') === 150;
    });
    jest.restoreAllMocks();
  });
});

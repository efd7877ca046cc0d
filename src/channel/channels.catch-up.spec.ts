import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { useChannels } from '../../test/support/channels.js';
import { Recorder } from '../../test/support/slow-broker.js';
import { until } from '../../test/support/until.js';
import { HISTORY_DEFAULTS } from '../options/sse.options.js';
import { ChannelSet } from './composite.js';

describe('The channels of a connection that catches up', () => {
  const rig = useChannels();
  const { publish } = rig;

  /** Accepts no more than a page until the test resumes it. */
  class Slow extends Recorder {
    waiting: (() => void)[] = [];

    drained(): Promise<void> {
      return new Promise((resolve) => this.waiting.push(resolve));
    }

    goOn(): void {
      for (const resolve of this.waiting.splice(0)) resolve();
    }
  }

  /** A position in all channels, before events that no ring contains. */
  const behind = async (names: readonly string[], count: number) => {
    const cursors: string[] = [];
    for (const name of names) {
      cursors.push((await rig.broker.read(name, [], 0)).tip);
      for (let n = 0; n < count; n++) await publish(name, `${name}${n}`);
    }
    return new ChannelSet(names).idAt(cursors);
  };
  const NAMES = Array.from({ length: 20 }, (_, n) => `c${n}`);

  it('take turns: each sends a page, and the next page is read after the client has read it', async () => {
    const id = await behind(NAMES, 150);
    const slow = new Slow();
    await rig.channels.subscribe(NAMES, slow, { lastEventId: id }).ready;
    const seen: number[] = [];
    while (slow.events.length < NAMES.length * 150) {
      await until(() => slow.waiting.length > 0);
      seen.push(slow.events.length);
      slow.goOn();
      await turn();
    }
    // A page has 100 events. Rings contain none of them.
    const steps = seen.map((count, n) => count - (seen[n - 1] ?? 0));
    expect(Math.max(...steps)).toBeLessThanOrEqual(100);
    expect(new Set(slow.events.slice(0, 2_000).map(({ channel }) => channel)).size).toBe(NAMES.length);
    for (const name of NAMES) {
      const own = slow.events.filter(({ channel }) => channel === name).map(({ data }) => data);
      expect(own).toEqual(Array.from({ length: 150 }, (_, n) => `${name}${n}`));
    }
  });

  it('take turns also with events that the node has in memory', async () => {
    const first = rig.channels.subscribe(NAMES, new Recorder());
    await first.ready;
    const id = await behind(NAMES, 50);
    const slow = new Slow();
    await rig.channels.subscribe(NAMES, slow, { lastEventId: id }).ready;
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
    await rig.channels.subscribe(names, new Recorder()).ready;
    rig.broker.broken.add('a');
    const { ready } = rig.channels.subscribe(names, slow, { lastEventId: id });
    rig.broker.listeners.get('b')!.onInterrupted();
    await ready;
    const dataOf = (name: string) => slow.events.filter(({ channel }) => channel === name).length;
    await until(() => {
      slow.goOn();
      return dataOf('c') === 150 && dataOf('d') === 150;
    });
    expect(dataOf('a') + dataOf('b')).toBe(0);
    rig.broker.broken.delete('a');
    rig.broker.listeners.get('b')!.onSubscribed();
    await until(() => {
      slow.goOn();
      return dataOf('a') === 150 && dataOf('b') === 150;
    });
    jest.restoreAllMocks();
  });
});

describe('A subscriber that is behind', () => {
  const rig = useChannels();

  class Behind extends Recorder {
    isBehind = true;
    cuts = 0;
    waiting: (() => void)[] = [];

    drained(): Promise<void> | undefined {
      return this.isBehind ? new Promise((resolve) => this.waiting.push(resolve)) : undefined;
    }

    readOn(): void {
      this.isBehind = false;
      for (const resolve of this.waiting.splice(0)) resolve();
    }

    disconnectSlow(): void {
      this.cuts++;
    }
  }

  const publish = (data: unknown, transient = false) => rig.publish('a', data, { transient });
  const range = (count: number) => Array.from({ length: count }, (_, n) => n);

  it.each([
    ['the ring', 20, 0],
    ['the history', 600, 4],
  ])('catches up from %s once the client has read everything before', async (_, count, reads) => {
    const behind = new Behind();
    const other = new Recorder();
    await rig.channels.subscribe(['a'], behind).ready;
    await rig.channels.subscribe(['a'], other).ready;
    for (const n of range(count)) await publish(n);
    expect([behind.data, other.data]).toEqual([[], range(count)]);
    const before = rig.broker.asked.length;
    behind.readOn();
    await until(() => behind.events.length === count);
    expect(behind.data).toEqual(range(count));
    await publish('live');
    expect(behind.data.at(-1)).toBe('live');
    expect(rig.broker.asked.length - before).toBe(reads);
    expect([rig.channels.metrics.behind, behind.cuts]).toEqual([1, 0]);
  });

  it('becomes live only after the client has read the replayed events', async () => {
    const behind = new Behind();
    await rig.channels.subscribe(['a'], behind).ready;
    await publish(0);
    behind.next = (event) => {
      behind.isBehind = true;
      Recorder.prototype.next.call(behind, event);
    };
    behind.readOn();
    await until(() => behind.data.length === 1);
    for (const n of range(3)) await publish(n + 1);
    expect(behind.data).toEqual([0]);
    behind.readOn();
    await until(() => behind.data.length === 4);
    expect(behind.data).toEqual(range(4));
    expect(rig.channels.metrics.behind).toBe(1);
  });

  it('gets events that are not stored after the replayed ones, at the position of the last of these', async () => {
    const behind = new Behind();
    await rig.channels.subscribe(['a'], behind).ready;
    const [first, second] = [await publish(1), await publish('passing', true).then(() => publish(2))];
    behind.readOn();
    await until(() => behind.events.length === 3);
    expect(behind.events.map(({ id, data }) => [id, data])).toEqual([
      [first, 1],
      [second, 2],
      [second, 'passing'],
    ]);
  });

  it.each([
    ['many', 1_025, 'x'],
    ['large', 300, 'x'.repeat(1_000)],
  ])('is closed if too %s events that are not stored arrive', async (_, count, data) => {
    const behind = new Behind();
    await rig.channels.subscribe(['a'], behind).ready;
    await publish(1);
    expect(behind.cuts).toBe(0);
    for (let n = 0; n < count; n++) await publish(data, true);
    expect(behind.cuts).toBe(1);
  });

  it('whose response never drains causes no endless loop', async () => {
    const behind = new Behind();
    await rig.channels.subscribe(['a'], behind).ready;
    behind.drained = () => undefined;
    await publish(1);
    await turn();
    await publish(2);
    await until(() => behind.data.length === 2);
    expect(behind.data).toEqual([1, 2]);
  });

  it('since it reconnected gets no events that are not stored if there are too many', async () => {
    const id = await publish(0);
    await publish(1);
    await rig.channels.subscribe(['a'], new Recorder()).ready;
    const resuming = new Behind();
    resuming.isBehind = false;
    let goOn = () => {};
    rig.broker.gate = new Promise((resolve) => (goOn = resolve));
    await rig.channels.subscribe(['a'], resuming, { lastEventId: id }).ready;
    for (let n = 0; n < 1_100; n++) await publish('x', true);
    goOn();
    await until(() => resuming.data.length > 0);
    await publish('live', true);
    await until(() => resuming.data.at(-1) === 'live');
    expect([resuming.data, resuming.cuts, resuming.completed]).toEqual([[1, 'live'], 0, false]);
  });

  it('gets all missed events: the limits for reconnections do not apply', async () => {
    rig.restart({ ...HISTORY_DEFAULTS, maxReplayEvents: 5 });
    const behind = new Behind();
    await rig.channels.subscribe(['a'], behind).ready;
    for (const n of range(400)) await publish(n);
    behind.readOn();
    await until(() => behind.events.length === 400);
    expect(behind.data).toEqual(range(400));
  });
});

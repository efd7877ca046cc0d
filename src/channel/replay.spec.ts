import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { at, Recorder, startHub } from '../../test/support/hub.js';
import { until } from '../../test/support/until.js';
import type { ChannelEvent } from './channel-event.js';

describe('A replay', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('takes events from the ring without a read', async () => {
    const { broker, publish, attach, live } = startHub();
    await live();
    publish(3, 'mine');
    broker.deliver();
    expect(attach(at(6)).calls).toEqual(['open 6', 'mine at 7', 'mine at 8']);
    expect(attach('mine').calls).toEqual(['open 8', 'mine at 7', 'mine at 8']);
    expect(attach(at(8)).calls).toEqual(['open 8']);
    expect(broker.reads).toBe(0);
  });

  it('asks for back-pressure after events from the ring', async () => {
    const { broker, publish, attach, live } = startHub();
    await live();
    publish(1);
    broker.deliver();
    const slow = new (class extends Recorder {
      drained(): undefined {
        this.calls.push('drained?');
      }
    })();
    attach(at(5), slow);
    publish(1);
    broker.deliver();
    expect(slow.calls).toEqual(['open 5', '6', 'drained?', '7']);
  });

  it('takes events from the history, and stores them in the ring', async () => {
    const { broker, publish, attach, live } = startHub();
    publish(20);
    await live();
    const first = attach(at(10));
    await until(() => first.calls.length === 16);
    expect(broker.reads).toBe(1);
    expect(attach(at(10)).calls).toEqual(first.calls);
    expect(attach(at(20)).calls).toHaveLength(6);
    expect(broker.reads).toBe(1);
  });

  it('continues from the history to the ring', async () => {
    const { broker, publish, attach, live } = startHub({ ring: { maxEvents: 10, maxSize: 10_000 } });
    publish(250);
    await live();
    publish(50);
    broker.deliver();
    const recorder = attach(at(3));
    await until(() => recorder.calls.length === 303);
    expect(recorder.calls.slice(1)).toEqual(Array.from({ length: 302 }, (_, k) => `${k + 4}`));
  });

  it.each([
    ['events', { maxEvents: 10, maxSize: Infinity }],
    ['characters', { maxEvents: Infinity, maxSize: 1_000 }],
  ])('reads the history for events beyond a ring with a bounded number of %s', async (_, ring) => {
    const { broker, publish, attach, live } = startHub({ ring });
    publish(40);
    await live();
    const complete = async (recorder: Recorder, count: number) => {
      await until(() => recorder.calls.length === count);
      return broker.reads;
    };
    expect(await complete(attach(at(3)), 43)).toBe(1);
    expect(await complete(attach(at(3)), 43)).toBe(2);
    publish(20);
    broker.deliver();
    expect(await complete(attach(at(60)), 6)).toBe(2);
    expect(await complete(attach(at(45)), 21)).toBe(3);
  });

  it('waits for its turn while 16 other replays read', async () => {
    const { broker, publish, attach, live } = startHub();
    publish(50);
    await live();
    broker.held = true;
    const recorders = Array.from({ length: 40 }, (_, k) => attach(at(2 + k)));
    await turn();
    expect(broker.reads).toBe(16);
    broker.release();
    await until(() => recorders.every(({ calls }) => calls.at(-1) === '55'));
  });

  it('retries a read that fails', async () => {
    const { broker, publish, attach, live } = startHub();
    publish(20);
    await live();
    broker.failures = 3;
    const recorder = attach(at(20));
    await until(() => recorder.calls.length === 6);
  });

  it('does not retry a read for a subscriber that has disconnected', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    publish(20);
    await live();
    broker.failures = Infinity;
    const read = jest.spyOn(broker, 'read');
    const reads = (position: string) => read.mock.calls.filter(([, [first]]) => first === position).length;
    hub.detach(attach(at(10)));
    const stays = attach(at(20));
    await until(() => reads(at(20)) > 4);
    expect(reads(at(10))).toBe(1);
    broker.failures = 0;
    await until(() => stays.calls.length === 6);
  });

  it('shares its reads with replays from the same position', async () => {
    const { broker, publish, attach, live } = startHub();
    publish(150);
    await live();
    const recorders = Array.from({ length: 100 }, () => attach(at(2)));
    await until(() => recorders.every(({ calls }) => calls.length === 154));
    expect(broker.reads).toBe(2);
  });

  it('stops when the subscriber disconnects', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    publish(20);
    await live();
    const some = new (class extends Recorder {
      override next(event: ChannelEvent): void {
        super.next(event);
        if (this.calls.length === 3) hub.detach(this);
      }
    })();
    attach(at(10), some);
    await until(() => some.calls.length === 3);
    publish(1);
    broker.deliver();
    await turn();
    expect(some.calls).toEqual(['open 10', '11', '12']);
  });

  it.each([
    ['the last event it missed', at(20)],
    ['its reset', 'junk'],
  ])('does not add a subscriber to the live ones if it disconnects with %s', async (_, from) => {
    const { hub, broker, publish, attach, live } = startHub();
    publish(16);
    await live();
    const leaving = new (class extends Recorder {
      override next(event: ChannelEvent): void {
        super.next(event);
        hub.detach(this);
      }
    })();
    attach(from, leaving);
    await until(() => leaving.calls.length === 2);
    publish(2);
    broker.deliver();
    expect(leaving.calls).toHaveLength(2);
  });

  it('reads the next page after the client has read the last one', async () => {
    const { publish, attach, live } = startHub({ ring: { maxEvents: 10, maxSize: 10_000 } });
    publish(400);
    await live();
    let drain = () => {};
    const slow = new (class extends Recorder {
      drained = () => new Promise<void>((resolve) => (drain = resolve));
    })();
    attach(at(1), slow);
    for (const received of [101, 201, 301]) {
      await until(() => slow.calls.length === received);
      await turn();
      expect(slow.calls).toHaveLength(received);
      drain();
    }
  });

  it('ends on the store’s branch if the hub is on a branch that the store has lost', async () => {
    const { hub, broker, store, publish, attach, live } = startHub({
      ring: { maxEvents: 1, maxSize: 1_000 },
    });
    const recorder = attach();
    await live();
    publish(3);
    broker.deliver();
    store.loseWrites(2);
    const back = attach(at(6));
    await until(() => hub.tip === at(6) && hub.live);
    publish(1);
    broker.deliver();
    await until(() => back.calls.length === 2);
    expect(broker.reads).toBeLessThan(10);
    expect(back.calls[0]).toBe('open 6');
    expect(recorder.calls.at(-1)).toBe(back.calls[1]);
  });

  it('waits for the hub if the client is ahead of it', async () => {
    const { broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    publish(2);
    broker.pending = [];
    const ahead = attach(at(6));
    await until(() => ahead.calls.length === 2);
    expect(ahead.calls).toEqual(['open 6', '7']);
    await until(() => recorder.calls.length === 3);
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
  });

  it('sends nothing more to a subscriber that fails', async () => {
    const { publish, attach, live } = startHub();
    publish(5);
    await live();
    const failing = new Recorder();
    failing.fails = true;
    attach(at(5), failing);
    await until(() => failing.calls.includes('complete'));
    expect(failing.calls).toEqual(['open 5', 'complete']);
  });
});

import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { at, Recorder, startHub } from '../../test/support/hub.js';
import { until } from '../../test/support/until.js';
import type { ChannelEvent } from './channel-event.js';

describe('A channel hub', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('opens at the tip, and delivers the following events', async () => {
    const { broker, publish, attach, live } = startHub();
    const recorder = attach();
    expect(recorder.calls).toEqual([]);
    await live();
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6']);
  });

  it('delivers messages that arrive between the subscription and the read of the tip', async () => {
    const { hub, broker, publish, attach } = startHub();
    const recorder = attach();
    publish(4);
    broker.connect();
    publish(2);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
  });

  it.each([undefined, at(3), 'junk'])(
    'delivers nothing to a subscriber that unsubscribes as soon as it opens (%s)',
    async (from) => {
      const { hub, broker, publish, attach, live } = startHub();
      await live();
      const leaving = new (class extends Recorder {
        override open(cursor: string): void {
          super.open(cursor);
          hub.detach(this);
        }
      })();
      attach(from, leaving);
      await turn();
      publish(1);
      broker.deliver();
      expect(leaving.calls).toHaveLength(1);
    },
  );

  it('does not deliver the current event to a subscriber that attaches during its delivery', async () => {
    const { hub, broker, publish, live } = startHub();
    await live();
    const late = new Recorder();
    const first = new (class extends Recorder {
      override next(event: ChannelEvent): void {
        super.next(event);
        if (this.calls.length === 2) hub.attach(late, undefined);
      }
    })();
    hub.attach(first, undefined);
    publish(2);
    broker.deliver();
    expect(late.calls).toEqual(['open 6', '7']);
  });

  it('delivers nothing to a subscriber that attaches and detaches during a delivery', async () => {
    const { hub, broker, publish, live } = startHub();
    await live();
    const gone = new Recorder();
    const first = new (class extends Recorder {
      override next(): void {
        hub.attach(gone, undefined);
        hub.detach(gone);
      }
    })();
    hub.attach(first, undefined);
    publish(1);
    broker.deliver();
    hub.detach(first);
    publish(1);
    broker.deliver();
    expect(gone.calls).toEqual(['open 6']);
  });

  it('attaches the remaining subscribers if one throws', async () => {
    const { hub, attach, live } = startHub();
    hub.whenLive(() => {
      throw new Error('this one fails');
    });
    const recorder = attach();
    await live();
    expect(recorder.calls).toEqual(['open 5']);
  });

  it('delivers an event without a cursor with the tip as its id, or with its own', async () => {
    const { broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    broker.pending.push('{"data":"a"}', '{"data":"b","id":"x"}');
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '5', 'x at 5', '6']);
  });

  it('closes a subscriber that throws, live or replaying, and serves the remaining ones', async () => {
    const { broker, publish, attach, live } = startHub();
    await live();
    const [bad, good] = [attach(), attach()];
    bad.fails = true;
    publish(2);
    broker.deliver();
    const replaying = new Recorder();
    replaying.fails = true;
    attach(at(5), replaying);
    expect(bad.calls).toEqual(['open 5', 'complete']);
    expect(good.calls).toEqual(['open 5', '6', '7']);
    expect(replaying.calls).toEqual(['open 5', 'complete']);
  });

  it('reports a malformed message', async () => {
    const { broker, dropped, live } = startHub();
    await live();
    broker.pending.push('nonsense');
    broker.deliver();
    expect(dropped).toEqual(['c']);
  });

  it('unsubscribes when it is closed', async () => {
    const { hub, broker, publish, attach } = startHub();
    const recorder = attach();
    publish(1);
    broker.held = true;
    broker.connect();
    hub.close();
    broker.release();
    await turn();
    expect(broker.listener).toBeUndefined();
    expect(recorder.calls).toEqual([]);
    expect(hub.live).toBe(false);
  });

  it('delivers nothing to replaying subscribers after it is closed', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    publish(20);
    await live();
    broker.held = true;
    const recorder = attach(at(10));
    hub.close();
    broker.release();
    await turn();
    expect(recorder.calls).toEqual(['open 10']);
  });

  it('does not retry a failed read after it is closed', async () => {
    const [closed, { broker, hub }] = [startHub(), startHub()];
    closed.broker.failures = broker.failures = 5;
    closed.broker.connect();
    broker.connect();
    closed.hub.close();
    await until(() => hub.live);
    expect(closed.broker.reads).toBe(1);
  });
});

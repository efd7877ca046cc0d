import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { ModelBroker, ModelStore } from '../../test/support/model-broker.js';
import { until } from '../../test/support/until.js';
import type { ChannelEvent } from './channel-event.js';
import { noCounts } from './channel-counts.js';
import { ChannelHub } from './channel-hub.js';
import { HistoryReader } from './history-reader.js';
import type { Subscriber } from './subscribers.js';

class Recorder implements Subscriber {
  readonly calls: string[] = [];
  fails = false;

  open(cursor: string): void {
    this.calls.push(`open ${n(cursor)}`);
  }

  next({ event: { type, id, data }, cursor }: ChannelEvent): void {
    if (this.fails) throw new Error('this subscriber fails');
    const reason = type === 'sse.reset' ? `reset ${(data as { reason: string }).reason} ` : '';
    this.calls.push(`${reason}${n(id)}${id === cursor ? '' : ` at ${n(cursor)}`}`);
  }

  complete(): void {
    this.calls.push('complete');
  }
}

/** Cursors of the model store by their number. */
const n = (cursor: string) => cursor.replace('1763884800000-', '');
const at = (number: number) => `1763884800000-${number}`;

describe('A channel hub', () => {
  // Outages and failures are reported.
  beforeAll(() => Logger.overrideLogger(false));

  let store: ModelStore;
  let broker: ModelBroker;
  let hub: ChannelHub;
  let dropped: string[];
  const bounds = { maxReplayEvents: 1_000, maxReplayBytes: 1_000_000 };

  const createHub = (options: Partial<ConstructorParameters<typeof ChannelHub>[2]> = {}) => {
    broker = new ModelBroker(store);
    const onDropped = (channel: string) => dropped.push(channel);
    hub = new ChannelHub('c', broker, {
      ...bounds,
      reader: new HistoryReader(broker),
      counts: noCounts(),
      onDropped,
      ...options,
    });
  };
  beforeEach(() => {
    store = new ModelStore();
    dropped = [];
    createHub();
  });

  const publish = (count: number, id?: string) => {
    for (let k = 0; k < count; k++) store.publish(id);
  };
  const attach = (lastEventId?: string, subscriber = new Recorder()) => {
    hub.whenLive(() => hub.attach(subscriber, lastEventId)?.());
    return subscriber;
  };
  /** Live at event 5 (the chain begins at 1). */
  const live = async () => {
    publish(4);
    broker.connect();
    await until(() => hub.live);
    broker.reads = 0;
  };

  it('opens at the tip, and delivers what follows', async () => {
    const recorder = attach();
    expect(recorder.calls).toEqual([]);
    await live();
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6']);
  });

  it('delivers what arrived between the subscription and the reading of the tip', async () => {
    const recorder = attach();
    publish(4);
    broker.connect();
    publish(2);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
  });

  it.each([undefined, at(3), 'junk'])(
    'gives nothing to who leaves as soon as it opens (%s)',
    async (from) => {
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

  it('fills a gap that a message shows, before that message', async () => {
    const recorder = attach();
    await live();
    publish(3);
    broker.pending.splice(0, 2);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6', '7', '8']);
  });

  it('fills a gap larger than a page', async () => {
    const recorder = attach();
    await live();
    publish(350);
    broker.pending.splice(0, 349);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toHaveLength(351);
    expect(recorder.calls.at(-1)).toBe('355');
    expect(broker.reads).toBe(4);
  });

  it('takes a message that came before for no gap, and reads nothing', async () => {
    const recorder = attach();
    await live();
    publish(2);
    broker.pending.push(...broker.pending);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
    expect(broker.reads).toBe(0);
  });

  it('delivers what was published during an interruption, and lets newcomers wait for that', async () => {
    const recorder = attach();
    await live();
    broker.interrupt();
    publish(2);
    const [stays, leaves] = [attach(), new Recorder()];
    hub.whenLive(() => hub.attach(leaves, undefined))();
    await turn();
    expect(stays.calls).toEqual([]);
    broker.connect();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
    expect(stays.calls).toEqual(['open 7']);
    expect(leaves.calls).toEqual([]);
  });

  it('is not live by a reading from before the last interruption', async () => {
    publish(4);
    broker.held = true;
    broker.connect();
    broker.interrupt();
    broker.release();
    await turn();
    expect(hub.live).toBe(false);
    broker.connect();
    await until(() => hub.live);
  });

  it('is live by the last of several readings', async () => {
    await live();
    broker.held = true;
    hub.synchronise();
    await turn();
    publish(1);
    broker.pending = [];
    hub.synchronise();
    const recorder = attach();
    await turn();
    broker.release();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 6']);
  });

  it('resets once when the history does not reach back to the gap', async () => {
    const recorder = attach();
    await live();
    broker.interrupt();
    publish(3);
    store.trim(5);
    broker.connect();
    await until(() => hub.live);
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', 'reset lost 8', '9']);
  });

  /** Live again after the store has lost the last two events, which were delivered. */
  const liveAfterLostWrites = async () => {
    const recorder = attach();
    await live();
    publish(3);
    broker.deliver();
    broker.interrupt();
    store.loseWrites(2);
    broker.connect();
    await until(() => hub.live);
    return recorder;
  };

  it('goes on from where the store’s chain branched off, when that has lost events', async () => {
    const recorder = await liveAfterLostWrites();
    broker.reads = 0;
    publish(2);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6', '7', '8', '9', '10']);
    expect(broker.reads).toBe(0);
  });

  it('passes over a message of the branch that the store has lost, which it has delivered', async () => {
    const recorder = await liveAfterLostWrites();
    broker.listener!.onMessage(JSON.stringify(store.published.get(at(7))));
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6', '7', '8', '9']);
  });

  it('resets when the store was wiped, and goes on', async () => {
    const recorder = attach();
    await live();
    store.flush();
    publish(2);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', 'reset lost 8']);
    publish(1);
    broker.deliver();
    expect(recorder.calls.at(-1)).toBe('9');
  });

  it('reads again until it succeeds', async () => {
    const recorder = attach();
    broker.failures = 3;
    await live();
    expect(recorder.calls).toEqual(['open 5']);
  });

  it('gives up a message that no reading explains, and none that came behind it', async () => {
    const recorder = attach();
    await live();
    const orphan = { data: 'orphan', cursor: at(99), prev: at(98) };
    broker.pending.push(JSON.stringify(orphan), '{"data":"passing by","id":"x"}');
    broker.deliver();
    await until(() => hub.live);
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', 'x at 5', '6']);
  });

  it.each([
    ['messages', 2_049, 0, 22],
    ['characters', 42, 100_000, 2],
  ])('holds back a bounded number of %s, and reads them instead', async (_, count, size, reads) => {
    const recorder = attach();
    await live();
    broker.interrupt();
    broker.held = true;
    broker.connect();
    publish(count);
    broker.pending = broker.pending.map((text) => text.padEnd(size));
    broker.deliver();
    broker.release();
    await until(() => hub.live);
    expect(recorder.calls).toHaveLength(count + 1);
    expect(recorder.calls.at(-1)).toBe(`${count + 5}`);
    expect(broker.reads).toBe(reads);
  });

  it('says nothing of a reading that fails during an outage, which is not its own', async () => {
    const logged = jest.spyOn(Logger.prototype, 'error');
    broker.state = 'down';
    broker.failures = 2;
    await live();
    expect(logged).not.toHaveBeenCalled();
    logged.mockRestore();
  });

  describe('takes a returning subscriber', () => {
    it('from its ring, without reading', async () => {
      await live();
      publish(3, 'mine');
      broker.deliver();
      expect(attach(at(6)).calls).toEqual(['open 6', 'mine at 7', 'mine at 8']);
      expect(attach('mine').calls).toEqual(['open 8', 'mine at 7', 'mine at 8']);
      expect(attach(at(8)).calls).toEqual(['open 8']);
      expect(broker.reads).toBe(0);
    });

    it('from its ring, which a subscriber that takes its time may be told of', async () => {
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

    it('from the history, which the ring then holds', async () => {
      publish(20);
      await live();
      const first = attach(at(10));
      await until(() => first.calls.length === 16);
      expect(broker.reads).toBe(1);
      expect(attach(at(10)).calls).toEqual(first.calls);
      expect(attach(at(20)).calls).toHaveLength(6);
      expect(broker.reads).toBe(1);
    });

    it('from the history to the ring, where both are needed', async () => {
      createHub({ ring: { maxEvents: 10, maxSize: 10_000 } });
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
    ])('from a ring of a bounded number of %s', async (_, ring) => {
      createHub({ ring });
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

    it('in turn, when many have missed something else', async () => {
      publish(50);
      await live();
      broker.held = true;
      const recorders = Array.from({ length: 40 }, (_, k) => attach(at(2 + k)));
      await turn();
      expect(broker.reads).toBe(16);
      broker.release();
      await until(() => recorders.every(({ calls }) => calls.at(-1) === '55'));
    });

    it('when a reading succeeds, however often it fails before', async () => {
      publish(20);
      await live();
      broker.failures = 3;
      const recorder = attach(at(20));
      await until(() => recorder.calls.length === 6);
    });

    it('as long as it is there: what fails is read again for nobody else', async () => {
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

    it('in few reads, when many have missed the same', async () => {
      publish(150);
      await live();
      const recorders = Array.from({ length: 100 }, () => attach(at(2)));
      await until(() => recorders.every(({ calls }) => calls.length === 154));
      expect(broker.reads).toBe(2);
    });

    it('no further than it wants', async () => {
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
    ])('that leaves with %s', async (_, from) => {
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

    it('as fast as it takes what it gets', async () => {
      createHub({ ring: { maxEvents: 10, maxSize: 10_000 } });
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

    it('with a reset where the store does not know its position, or it is none', async () => {
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

    it.each([
      ['events', { maxReplayEvents: 10 }],
      ['characters', { maxReplayBytes: 500 }],
    ])('with a reset where it has missed too many %s', async (_, limit) => {
      createHub(limit);
      publish(20);
      await live();
      const [far, near] = [attach(at(10)), attach(at(15))];
      await until(() => far.calls.length > 1 && near.calls.length > 1);
      expect(far.calls).toEqual(['open 10', 'reset limit 25']);
      expect(near.calls).toHaveLength(11);
      // Now the ring has them.
      publish(10);
      broker.deliver();
      expect(attach(at(20)).calls).toEqual(['open 20', 'reset limit 35']);
    });

    it('with a reset where it has missed too many in several pages', async () => {
      createHub({ maxReplayEvents: 150 });
      publish(250);
      await live();
      const recorder = attach(at(10));
      await until(() => recorder.calls.at(-1) === 'reset limit 255');
      expect(recorder.calls).toEqual(['open 10', 'reset limit 255']);
    });

    it.each([
      ['has missed nothing', 'that arrives in a moment', 0, () => broker.deliver()],
      ['has missed something', 'that does not arrive', 1, () => (broker.pending = [])],
    ])(
      'with an id that nobody has given, and %s of what is in the store %s',
      async (_what, _when, gaps, then) => {
        const counts = noCounts();
        createHub({ counts });
        await live();
        publish(1);
        const stranger = attach(at(1_000));
        await turn();
        expect(stranger.calls).toEqual(['open 1000']);
        then();
        await until(() => stranger.calls.length === 2);
        expect(stranger.calls).toEqual(['open 1000', 'reset lost 6']);
        expect(counts.gaps).toBe(gaps);
      },
    );

    it('with a reset to where it is when it is live again, if that is there to be reset', async () => {
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

    it('that is where the store is again, while the hub is on a branch that the store has lost', async () => {
      createHub({ ring: { maxEvents: 1, maxSize: 1_000 } });
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

    it('that is ahead of it, when it has caught up itself', async () => {
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
  });

  it('notices in an audit that the last message was lost', async () => {
    const recorder = attach();
    await live();
    publish(1);
    broker.pending = [];
    await hub.audit();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6']);
  });

  it('stays live in an audit that finds nothing missing, or cannot read', async () => {
    await live();
    for (const failures of [0, 1]) {
      broker.failures = failures;
      await hub.audit();
      expect(hub.live).toBe(true);
    }
    expect(broker.reads).toBe(2);
  });

  it('takes a message that is on its way during an audit for none that was lost', async () => {
    await live();
    publish(1);
    const audit = hub.audit();
    await turn();
    broker.deliver();
    await audit;
    expect(broker.reads).toBe(1);
  });

  it('leaves the reads to others while there are many', async () => {
    await live();
    broker.held = true;
    const waiting = Array.from({ length: 16 }, (_, k) => attach(at(100 + k)));
    await hub.audit();
    expect(broker.reads).toBe(16);
    // A silent channel must not be forgotten for that.
    const due = hub.audit(true);
    broker.release();
    await due;
    expect(broker.reads).toBe(17);
    await until(() => waiting.every(({ calls }) => calls.length === 2));
  });

  it('reads nothing any more once it is closed', async () => {
    await live();
    publish(1);
    const audit = hub.audit();
    hub.close();
    await audit;
    expect(broker.reads).toBe(1);
  });

  it('does not deliver an event again to who attaches while it is delivered', async () => {
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

  it('delivers nothing to who attaches and leaves while an event is delivered', async () => {
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

  it('serves the others when the attaching of one fails', async () => {
    hub.whenLive(() => {
      throw new Error('this one fails');
    });
    const recorder = attach();
    await live();
    expect(recorder.calls).toEqual(['open 5']);
  });

  it('delivers what has no cursor under the tip, or under its own id', async () => {
    const recorder = attach();
    await live();
    broker.pending.push('{"data":"a"}', '{"data":"b","id":"x"}');
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '5', 'x at 5', '6']);
  });

  it('cuts a subscriber that throws, live or replaying, and serves the others', async () => {
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

  it('reports what is no message', async () => {
    await live();
    broker.pending.push('nonsense');
    broker.deliver();
    expect(dropped).toEqual(['c']);
  });

  it('gives up its subscription when it is closed', async () => {
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

  it('gives its subscribers nothing more when it is closed while they catch up', async () => {
    publish(20);
    await live();
    broker.held = true;
    const recorder = attach(at(10));
    hub.close();
    broker.release();
    await turn();
    expect(recorder.calls).toEqual(['open 10']);
  });

  it('does not read again what fails when it is closed', async () => {
    const [closed, closedHub] = [broker, hub];
    createHub();
    closed.failures = broker.failures = 5;
    closed.connect();
    broker.connect();
    closedHub.close();
    await until(() => hub.live);
    expect(closed.reads).toBe(1);
  });
});

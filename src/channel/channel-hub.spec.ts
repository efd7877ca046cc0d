import { beforeEach, describe, expect, it } from '@jest/globals';
import { type ChannelListener, SseBroker } from '../broker/broker.js';
import type { SseEvent } from '../event.js';
import { ChannelHub, type Subscriber } from './channel-hub.js';

/** A broker by hand: the test says when a position is read, and what arrives when. */
class ManualBroker extends SseBroker {
  readonly connected = true;
  listener!: ChannelListener;
  unsubscribed = 0;
  #reads: { resolve: (position: string) => void; reject: (error: Error) => void }[] = [];

  publish = () => Promise.reject(new Error('not by this broker'));
  close = () => Promise.resolve();

  subscribe(_channel: string, listener: ChannelListener): void {
    this.listener = listener;
  }

  unsubscribe(): void {
    this.unsubscribed++;
  }

  position(): Promise<string> {
    return new Promise((resolve, reject) => this.#reads.push({ resolve, reject }));
  }

  async stored(position: string): Promise<void> {
    this.#reads.shift()!.resolve(position);
    await Promise.resolve();
    await Promise.resolve();
  }
}

class Recorder implements Subscriber {
  readonly calls: string[] = [];
  fails = false;

  open(cursor: string): void {
    this.calls.push(`open ${cursor}`);
  }

  next({ type, id, data }: SseEvent, cursor: string): void {
    if (this.fails) throw new Error('this subscriber fails');
    this.calls.push(
      type === 'sse.reset'
        ? `reset ${(data as { reason: string }).reason} ${id}`
        : `${data as string} ${id} ${cursor}`,
    );
  }

  complete(): void {
    this.calls.push('complete');
  }
}

const at = (n: number) => `1763884800000-${n}`;

describe('A channel hub', () => {
  let broker: ManualBroker;
  let hub: ChannelHub;
  let dropped: string[];

  beforeEach(() => {
    broker = new ManualBroker();
    dropped = [];
    hub = new ChannelHub('c', broker, (channel) => dropped.push(channel));
  });

  const message = (n: number, prev: number | null = n - 1, more: object = {}) =>
    broker.listener.onMessage(
      JSON.stringify({
        data: `e${n}`,
        cursor: at(n),
        prev: prev === null ? null : at(prev),
        id: at(n),
        ...more,
      }),
    );
  const attached = (lastEventId?: string) => {
    const recorder = new Recorder();
    hub.whenLive(() => hub.attach(recorder, lastEventId));
    return recorder;
  };
  const live = async (n: number) => {
    broker.listener.onSubscribed();
    await broker.stored(at(n));
  };

  it('opens at the stored position, and delivers what follows', async () => {
    const recorder = attached();
    expect(recorder.calls).toEqual([]);
    await live(5);
    message(6);
    expect(recorder.calls).toEqual([`open ${at(5)}`, `e6 ${at(6)} ${at(6)}`]);
  });

  it('delivers what arrived between the subscription and the reading of the position', async () => {
    const recorder = attached();
    broker.listener.onSubscribed();
    message(6);
    message(7);
    await broker.stored(at(7));
    expect(recorder.calls).toEqual([`open ${at(5)}`, `e6 ${at(6)} ${at(6)}`, `e7 ${at(7)} ${at(7)}`]);
  });

  it('resets once at a gap, to the position before the message that showed it', async () => {
    const recorder = attached();
    await live(5);
    message(9, 8);
    message(10);
    expect(recorder.calls.slice(1)).toEqual([
      `reset lost ${at(8)}`,
      `e9 ${at(9)} ${at(9)}`,
      `e10 ${at(10)} ${at(10)}`,
    ]);
  });

  it('resets at an event without a predecessor: the store has begun anew', async () => {
    const recorder = attached();
    await live(5);
    message(3, null);
    message(4);
    expect(recorder.calls.slice(1)).toEqual([
      `reset lost ${at(5)}`,
      `e3 ${at(3)} ${at(3)}`,
      `e4 ${at(4)} ${at(4)}`,
    ]);
  });

  it('goes on silently after an interruption in which nothing was published', async () => {
    const recorder = attached();
    await live(5);
    await live(5);
    message(6);
    expect(recorder.calls).toEqual([`open ${at(5)}`, `e6 ${at(6)} ${at(6)}`]);
  });

  it('resets once after an interruption in which something was published', async () => {
    const recorder = attached();
    await live(5);
    await live(8);
    message(9);
    expect(recorder.calls.slice(1)).toEqual([`reset lost ${at(8)}`, `e9 ${at(9)} ${at(9)}`]);
  });

  it('resets once when more arrived after the interruption, and delivers that', async () => {
    const recorder = attached();
    await live(5);
    broker.listener.onSubscribed();
    message(9, 8);
    message(10);
    await broker.stored(at(10));
    expect(recorder.calls.slice(1)).toEqual([
      `reset lost ${at(8)}`,
      `e9 ${at(9)} ${at(9)}`,
      `e10 ${at(10)} ${at(10)}`,
    ]);
  });

  it('bridges an interruption whose messages all arrived', async () => {
    const recorder = attached();
    await live(5);
    broker.listener.onSubscribed();
    message(6);
    await broker.stored(at(6));
    expect(recorder.calls).toEqual([`open ${at(5)}`, `e6 ${at(6)} ${at(6)}`]);
  });

  it('resets when the store has fallen behind what was delivered', async () => {
    const recorder = attached();
    await live(5);
    await live(3);
    message(4);
    expect(recorder.calls.slice(1)).toEqual([`reset lost ${at(3)}`, `e4 ${at(4)} ${at(4)}`]);
  });

  it('uses only the last of several interruptions', async () => {
    const recorder = attached();
    broker.listener.onSubscribed();
    broker.listener.onSubscribed();
    await broker.stored(at(4));
    expect(recorder.calls).toEqual([]);
    await broker.stored(at(5));
    expect(recorder.calls).toEqual([`open ${at(5)}`]);
  });

  it('attaches after the last event by its cursor or its own id, and resets after any other', async () => {
    await live(5);
    message(6, 5, { id: 'mine' });
    const ids = [at(6), 'mine', at(5), 'other'];
    expect(ids.map((id) => attached(id).calls.slice(1))).toEqual([
      [],
      [],
      [`reset lost ${at(6)}`],
      [`reset unknown ${at(6)}`],
    ]);
  });

  it('takes an id that was used before for no position', async () => {
    await live(5);
    message(6, 5, { id: 'mine' });
    message(7, 6, { id: 'mine' });
    expect(attached('mine').calls.slice(1)).toEqual([`reset unknown ${at(7)}`]);
    message(8, 7, { id: 'other' });
    expect(attached('other').calls).toEqual([`open ${at(8)}`]);
  });

  it('does not deliver an event again to who attaches while it is delivered', async () => {
    await live(5);
    const late = new Recorder();
    const first = new (class extends Recorder {
      override next(event: SseEvent, cursor: string): void {
        super.next(event, cursor);
        if (this.calls.length === 2) hub.attach(late, undefined);
      }
    })();
    hub.attach(first, undefined);
    message(6);
    message(7);
    expect(late.calls).toEqual([`open ${at(6)}`, `e7 ${at(7)} ${at(7)}`]);
  });

  it('lets newcomers wait while it is interrupted, unless they leave', async () => {
    await live(5);
    broker.listener.onInterrupted();
    const stays = attached();
    const leaves = new Recorder();
    hub.whenLive(() => hub.attach(leaves, undefined))();
    expect(stays.calls).toEqual([]);
    await live(5);
    expect(stays.calls).toEqual([`open ${at(5)}`]);
    expect(leaves.calls).toEqual([]);
  });

  it('serves the others when the attaching of one fails', async () => {
    hub.whenLive(() => {
      throw new Error('this one fails');
    });
    const recorder = attached();
    await live(5);
    expect(recorder.calls).toEqual([`open ${at(5)}`]);
  });

  it('delivers what has no cursor under the position, or under its own id', async () => {
    const recorder = attached();
    await live(5);
    broker.listener.onMessage('{"data":"a"}');
    broker.listener.onMessage('{"data":"b","id":"x"}');
    message(6);
    expect(recorder.calls.slice(1)).toEqual([`a ${at(5)} ${at(5)}`, `b x ${at(5)}`, `e6 ${at(6)} ${at(6)}`]);
  });

  it('cuts a subscriber that throws, and serves the others', async () => {
    const [bad, good] = [attached(), attached()];
    await live(5);
    bad.fails = true;
    message(6);
    message(7);
    expect(bad.calls).toEqual([`open ${at(5)}`, 'complete']);
    expect(good.calls).toHaveLength(3);
  });

  it('reports what is no message', async () => {
    await live(5);
    broker.listener.onMessage('nonsense');
    expect(dropped).toEqual(['c']);
  });

  it('holds back a bounded number of messages, and shows the gap when there were more', async () => {
    const recorder = attached();
    await live(0);
    broker.listener.onSubscribed();
    for (let n = 1; n <= 5_000; n++) message(n);
    await broker.stored(at(5_000));
    expect(recorder.calls[1]).toMatch(/^reset lost/);
    expect(recorder.calls.length).toBeLessThan(2_052);
    expect(recorder.calls.at(-1)).toBe(`e5000 ${at(5_000)} ${at(5_000)}`);
  });

  it('gives up its subscription when it is closed', async () => {
    const recorder = attached();
    hub.close();
    await live(5).catch(() => undefined);
    expect(broker.unsubscribed).toBe(1);
    expect(recorder.calls).toEqual([]);
  });
});

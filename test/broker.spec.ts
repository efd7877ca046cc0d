import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ChannelListener, SseBroker } from '../src/broker/broker.js';
import { MemorySseBroker } from '../src/broker/memory.broker.js';
import { decodeMessage, type LiveMessage } from '../src/broker/message.js';
import { RedisSseBroker } from '../src/broker/redis.broker.js';
import { checkPublication, compareCursors, isCursor, type PublishOptions } from '../src/event.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

const CURSOR = /^\d{13}-\d{1,7}$/;

class RecordingListener implements ChannelListener {
  readonly messages: LiveMessage[] = [];
  subscribed = 0;
  interrupted = 0;

  onSubscribed(): void {
    this.subscribed++;
  }

  onInterrupted(): void {
    this.interrupted++;
  }

  onMessage(text: string): void {
    this.messages.push(decodeMessage(text)!);
  }
}

/** What every broker promises, whatever it is made of. */
describe.each([
  ['memory', () => new MemorySseBroker()],
  ['Redis', () => new RedisSseBroker(redisUrl(), randomPrefix())],
] as const)('The %s broker', (_, create) => {
  let broker: SseBroker;

  beforeEach(() => {
    broker = create();
  });
  afterEach(() => broker.close());

  const publish = (channel: string, data: unknown, options: PublishOptions = {}) =>
    broker.publish(channel, checkPublication(data, options, 1_000_000));

  const subscribe = async (channel: string) => {
    const listener = new RecordingListener();
    broker.subscribe(channel, listener);
    await until(() => listener.subscribed);
    await broker.position(channel);
    return listener;
  };

  it('is connected when it can be used', () => until(() => broker.connected));

  it('delivers what is published after onSubscribed, with everything the publisher gave', async () => {
    const listener = await subscribe('a');
    const cursor = await publish('a', { deep: [1, 'é'] }, { type: 't', retry: 5 });
    await publish('a', 'text', { id: 'own' });
    const [first, second] = await until(
      () => listener.messages,
      ({ length }) => length === 2,
    );
    expect(first).toEqual({
      data: { deep: [1, 'é'] },
      type: 't',
      retry: 5,
      id: cursor,
      cursor,
      prev: expect.stringMatching(CURSOR),
    });
    expect(second).toEqual({ data: 'text', id: 'own', cursor: expect.stringMatching(CURSOR), prev: cursor });
  });

  it('gives increasing cursors, each naming the one before it', async () => {
    const listener = await subscribe('a');
    const ids = await Promise.all(Array.from({ length: 500 }, (__, n) => publish('a', n)));
    await until(() => listener.messages.length === 500);
    expect(ids.every(isCursor)).toBe(true);
    expect(listener.messages.map(({ cursor }) => cursor)).toEqual(ids);
    expect(listener.messages.slice(1).map(({ prev }) => prev)).toEqual(ids.slice(0, -1));
    expect(ids.slice(1).every((id, index) => compareCursors(ids[index]!, id) < 0)).toBe(true);
  });

  it('keeps the order of the calls, without awaiting them', async () => {
    const listener = await subscribe('a');
    for (let n = 0; n < 200; n++) void publish('a', n);
    await until(() => listener.messages.length === 200);
    expect(listener.messages.map(({ data }) => Number(data))).toEqual(
      Array.from({ length: 200 }, (__, n) => n),
    );
  });

  it('has a position for a channel without events, and then the last event’s', async () => {
    const genesis = await broker.position('new');
    expect(await broker.position('new')).toBe(genesis);
    const listener = await subscribe('new');
    const cursor = await publish('new', 1, { id: 'own' }).then(() => broker.position('new'));
    expect(compareCursors(genesis, cursor)).toBeLessThan(0);
    await until(() => listener.messages.length === 1);
    expect(listener.messages[0]).toMatchObject({ prev: genesis, cursor });
  });

  it('sends a transient event as it is, and leaves the position', async () => {
    const listener = await subscribe('a');
    const position = await broker.position('a');
    expect(await publish('a', 'now', { transient: true })).toBe('');
    await until(() => listener.messages.length === 1);
    expect(listener.messages).toEqual([{ data: 'now' }]);
    expect(await broker.position('a')).toBe(position);
  });

  it('publishes once per idempotency key and channel, also when the calls overlap', async () => {
    const listener = await subscribe('a');
    const ids = await Promise.all(
      [1, 2, 3].map((n) => publish('a', n, { idempotencyKey: 'k', id: `id${n}` })),
    );
    await publish('a', 'other', { idempotencyKey: 'k2' });
    await publish('b', 'elsewhere', { idempotencyKey: 'k' });
    await until(() => listener.messages.length === 2);
    expect(ids).toEqual(['id1', 'id1', 'id1']);
    expect(listener.messages.map(({ data }) => data)).toEqual(['1', 'other']);
  });

  it('keeps channels apart', async () => {
    const [a, b] = [await subscribe('a'), await subscribe('b')];
    await publish('a', 'for a');
    await publish('b', 'for b');
    await until(() => a.messages.length === 1 && b.messages.length === 1);
    expect([a.messages[0]!.data, b.messages[0]!.data]).toEqual(['for a', 'for b']);
  });

  it('does not call a listener after unsubscribe, and calls a new one', async () => {
    const old = await subscribe('a');
    broker.unsubscribe('a');
    const listener = new RecordingListener();
    broker.subscribe('a', listener);
    await until(() => listener.subscribed);
    await publish('a', 1);
    await until(() => listener.messages.length === 1);
    expect(old.messages).toEqual([]);
  });

  it('delivers an event published from within a listener after the one that is being delivered', async () => {
    const listener = new (class extends RecordingListener {
      override onMessage(text: string): void {
        if (text.includes('question')) void publish('a', 'answer');
        super.onMessage(text);
      }
    })();
    broker.subscribe('a', listener);
    await until(() => listener.subscribed);
    await publish('a', 'question');
    await until(() => listener.messages.length === 2);
    expect(listener.messages.map(({ data }) => data)).toEqual(['question', 'answer']);
  });

  it('gives subscribers a copy of the data', async () => {
    const listener = await subscribe('a');
    const data = { n: 1 };
    const published = publish('a', data);
    data.n = 2;
    await published;
    await until(() => listener.messages.length === 1);
    expect(listener.messages[0]!.data).toEqual({ n: 1 });
  });
});

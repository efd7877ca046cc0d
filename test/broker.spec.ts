import { describe, expect, it } from '@jest/globals';
import { compareCursors, isCursor } from '../src/event/event.js';
import { anyBroker, brokers, RecordingListener } from './support/any-broker.js';
import { until } from './support/until.js';

const CURSOR = /^\d{13}-\d{1,7}$/;

/** Delivery, as every broker promises it. */
describe.each(brokers)('The %s broker', (_, create) => {
  const { current, publish, read, subscribe } = anyBroker(create);

  it('is connected when it can be used', () => until(() => current.broker.connected));

  it('rejects publications after it is closed', async () => {
    await publish('a', 1);
    await current.broker.close();
    await expect(publish('a', 2)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      message: 'Not published: the application is closing',
      mayBePublished: false,
    });
  });

  it('delivers an event that is published after onSubscribed, with all its fields', async () => {
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
      size: expect.any(Number),
    });
    expect(second).toMatchObject({
      data: 'text',
      id: 'own',
      cursor: expect.stringMatching(CURSOR),
      prev: cursor,
    });
  });

  it('assigns increasing cursors, and each event names the cursor before it', async () => {
    const listener = await subscribe('a');
    const ids = await Promise.all(Array.from({ length: 500 }, (__, n) => publish('a', n)));
    await until(() => listener.messages.length === 500);
    expect(ids.every(isCursor)).toBe(true);
    expect(listener.messages.map(({ cursor }) => cursor)).toEqual(ids);
    expect(listener.messages.slice(1).map(({ prev }) => prev)).toEqual(ids.slice(0, -1));
    expect(ids.slice(1).every((id, index) => compareCursors(ids[index]!, id) < 0)).toBe(true);
  });

  it('keeps the order of calls that are not awaited', async () => {
    const listener = await subscribe('a');
    for (let n = 0; n < 200; n++) void publish('a', n);
    await until(() => listener.messages.length === 200);
    expect(listener.messages.map(({ data }) => Number(data))).toEqual(
      Array.from({ length: 200 }, (__, n) => n),
    );
  });

  it('delivers a transient event, which does not move the position', async () => {
    const listener = await subscribe('a');
    const { tip } = await read('a', [], 0);
    expect(await publish('a', 'now', { transient: true })).toBe('');
    await until(() => listener.messages.length === 1);
    expect(listener.messages).toEqual([{ data: 'now', size: expect.any(Number) }]);
    expect(await read('a', [tip], 10)).toEqual({ tip, after: tip, events: [], end: tip });
  });

  it('publishes once per idempotency key and channel, even if the calls overlap', async () => {
    const listener = await subscribe('a');
    const ids = await Promise.all(
      [1, 2, 3].map((n) => publish('a', n, { idempotencyKey: 'k', id: `id${n}` })),
    );
    await publish('a', 'other', { idempotencyKey: 'k2' });
    await publish('b', 'elsewhere', { idempotencyKey: 'k' });
    await until(() => listener.messages.length === 2);
    expect(ids).toEqual(['id1', 'id1', 'id1']);
    expect(listener.messages.map(({ data }) => data)).toEqual([1, 'other']);
  });

  it('keeps channels apart', async () => {
    const [a, b] = [await subscribe('a'), await subscribe('b')];
    await publish('a', 'for a');
    await publish('b', 'for b');
    await until(() => a.messages.length === 1 && b.messages.length === 1);
    expect([a.messages[0]!.data, b.messages[0]!.data]).toEqual(['for a', 'for b']);
  });

  it('does not call a listener after unsubscribe, and calls a new one', async () => {
    const [old, neverCalled] = [await subscribe('a'), new RecordingListener()];
    void publish('a', 0);
    current.broker.unsubscribe('a');
    current.broker.subscribe('a', neverCalled);
    current.broker.unsubscribe('a');
    const listener = new RecordingListener();
    current.broker.subscribe('a', listener);
    await until(() => listener.subscribed);
    await publish('a', 1);
    await until(() => listener.messages.at(-1)?.data === 1);
    expect(old.messages).toEqual([]);
    expect(neverCalled).toEqual(new RecordingListener());
  });

  it('delivers an event published from within a listener after the one that is being delivered', async () => {
    const listener = new (class extends RecordingListener {
      override onMessage(text: string): void {
        if (text.includes('question')) void publish('a', 'answer');
        super.onMessage(text);
      }
    })();
    current.broker.subscribe('a', listener);
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

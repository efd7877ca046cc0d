import { describe, expect, it } from '@jest/globals';
import {
  defineChannel,
  type PublishOptions,
  type SseEvent,
  SseStreams,
  type StandardSchema,
  type,
} from 'nestjs-sse-channels';
import { compileTesting } from './support/testing-module.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('SseTestingService', () => {
  it('records the arguments of publish() in call order, with the id that it resolves to', async () => {
    const { sse } = await compileTesting();
    const data = { code: 'ACK' };
    const all = [
      sse.publish(data, { channel: 'jobs', type: 'done', id: 12345, retry: 6_000 }),
      sse.publish('hello'),
      sse.publish(null, { channel: 'e\u0301', idempotencyKey: 'key' }),
      sse.publish(1, { channel: 'é', idempotencyKey: 'key' }),
      sse.publish('typing', { channel: 'chat', transient: true }),
    ];
    const [done, hello, first, second, typing] = await Promise.all(all);
    expect(sse.published).toStrictEqual([
      { channel: 'jobs', data, type: 'done', id: 12345, retry: 6_000, publishedId: done },
      { channel: 'sse', data: 'hello', publishedId: hello },
      { channel: 'é', data: null, idempotencyKey: 'key', publishedId: first },
      { channel: 'é', data: 1, idempotencyKey: 'key', publishedId: second },
      { channel: 'chat', data: 'typing', transient: true, publishedId: typing },
    ]);
    expect([done, second, typing]).toEqual(['12345', first, '']);
    expect(sse.published[0]!.data).toBe(data);
    expect(Object.isFrozen(sse.published[0])).toBe(true);
  });

  it('records each event of publishAll() that was published', async () => {
    const { module, sse } = await compileTesting();
    const data = { code: 'ACK' };
    const jobs = defineChannel('job:{id}', { done: type<number>() });
    const ids = await sse.publishAll([
      { channel: 'jobs', data, type: 'done', id: 12345 },
      { channel: jobs({ id: 7 }), type: 'done', data: 1, retry: 5 },
      { data: 'hello', transient: true },
    ]);
    expect(sse.published).toStrictEqual([
      { channel: 'jobs', data, type: 'done', id: 12345, publishedId: '12345' },
      { channel: 'job:7', data: 1, type: 'done', retry: 5, publishedId: ids[1] },
      { channel: 'sse', data: 'hello', transient: true, publishedId: '' },
    ]);
    expect(sse.published[0]!.data).toBe(data);
    sse.clear();
    const writer = await module.get(SseStreams).open('stream');
    const list = [
      { channel: 'stream', data: 1 },
      { channel: 'a', data: 2, id: 'own' },
    ];
    await expect(sse.publishAll(list)).rejects.toMatchObject({ code: 'SSE_INPUT' });
    await expect(sse.publishAll([{ data: 1 }, { data: undefined }])).rejects.toThrow('events[1].data');
    await expect(sse.publishAll('text' as never)).rejects.toThrow('Expected `events` to be a list');
    expect(sse.published).toStrictEqual([{ channel: 'a', data: 2, id: 'own', publishedId: 'own' }]);
    await writer.end();
  });

  it('records lists in call order, as they were in the call', async () => {
    const { sse } = await compileTesting();
    const results: ((result: unknown) => void)[] = [];
    const validate = () => new Promise((resolve) => results.push(resolve));
    const slow = defineChannel('slow', {
      slow: { '~standard': { version: 1, vendor: 'test', validate } } as unknown as StandardSchema<number>,
    });
    const event = { data: 'list' };
    const calls = [
      sse.publish(slow(), 'slow', 1),
      sse.publishAll([event, { data: 'second' }]),
      sse.publish('after'),
    ];
    event.data = 'changed';
    await calls[2];
    results[0]!({ value: 2 });
    await Promise.all(calls);
    expect(sse.published.map(({ data }) => data)).toEqual([1, 'list', 'second', 'after']);
  });

  it('rejects with the own error of the caller', async () => {
    const { sse } = await compileTesting();
    const failure = new Error('not readable');
    const event = {
      get data() {
        throw failure;
      },
    };
    await expect(sse.publishAll([event])).rejects.toBe(failure);
    const result = {
      get issues() {
        throw failure;
      },
    };
    const broken = defineChannel('broken', {
      broken: {
        '~standard': { version: 1, vendor: 'test', validate: () => result },
      } as unknown as StandardSchema<number>,
    });
    await expect(sse.publishAll([{ channel: broken(), type: 'broken', data: 1 }])).rejects.toBe(failure);
    expect(sse.published).toEqual([]);
  });

  it('records no rejected publication', async () => {
    const { sse } = await compileTesting();
    const rejected: [data: unknown, options?: unknown][] = [
      [undefined],
      ['x', { channel: 'a b' }],
      ['x', { type: 'sse.open' }],
      ['x', null],
    ];
    for (const [data, options] of rejected) {
      const [publishing, feeding] = [
        sse.publish(data, options as PublishOptions),
        sse.feed(data, options as PublishOptions),
      ];
      await expect(publishing).rejects.toMatchObject({ code: 'SSE_INPUT' });
      await expect(feeding).rejects.toMatchObject({ code: 'SSE_INPUT' });
    }
    expect(sse.published).toEqual([]);
  });

  it('forgets publications by clear(), without changing lists that a test holds', async () => {
    const { sse } = await compileTesting();
    await sse.publish('before');
    const before = sse.published;
    sse.clear();
    await sse.publish('after');
    expect(before.map(({ data }) => data)).toEqual(['before']);
    expect(sse.published.map(({ data }) => data)).toEqual(['after']);
  });

  it('feeds events to subscribers and into history without recording or counting them', async () => {
    const { sse, events, subscribe } = await compileTesting();
    subscribe();
    const first = await sse.feed({ n: 1 }, { channel: 'news', type: 'number' });
    const second = await sse.feed('two', { channel: 'news', id: 'own' });
    await turn();
    expect(events).toEqual([
      { id: first, channel: 'news', type: 'number', data: { n: 1 } },
      { id: 'own', channel: 'news', data: 'two' },
    ]);
    expect(second).toBe('own');
    const resumed: SseEvent[] = [];
    sse.messages('news', { lastEventId: first }).subscribe((event) => resumed.push(event));
    await turn();
    expect(resumed).toEqual(events.slice(1));
    expect([sse.published, sse.stats().published]).toEqual([[], 0]);
    expect(await sse.feed('default')).toMatch(/^\d+-\d+$/);
  });

  it('feeds no more than `maxPayloadBytes`', async () => {
    const { sse } = await compileTesting({ maxPayloadBytes: 3 });
    await expect(sse.feed('four')).rejects.toThrow('at most 3 bytes, got 4');
  });

  it('loses the history of a channel: live and resuming subscribers get one sse.reset and continue', async () => {
    const { sse, events, subscribe } = await compileTesting();
    subscribe();
    const before = await sse.feed('before', { channel: 'news' });
    await turn();
    sse.loseHistory('news');
    await turn();
    const after = await sse.feed('after', { channel: 'news' });
    await turn();
    const reset = {
      id: expect.stringMatching(/^\d+-\d+$/),
      channel: 'news',
      type: 'sse.reset',
      data: { channel: 'news', reason: 'lost' },
    };
    const last = { id: after, channel: 'news', data: 'after' };
    expect(events).toEqual([{ id: before, channel: 'news', data: 'before' }, reset, last]);
    const resumed: SseEvent[] = [];
    sse.messages('news', { lastEventId: before }).subscribe((event) => resumed.push(event));
    await turn();
    expect(resumed).toEqual([{ ...reset, id: after }]);
    const continued: SseEvent[] = [];
    sse.messages('news', { lastEventId: events[1]!.id }).subscribe((event) => continued.push(event));
    await turn();
    expect(continued).toEqual([last]);
  });

  it('loses the history of a channel without subscribers', async () => {
    const { sse } = await compileTesting();
    const lastEventId = await sse.feed('before');
    sse.loseHistory();
    const events: SseEvent[] = [];
    sse.messages('sse', { lastEventId }).subscribe((event) => events.push(event));
    await turn();
    expect(events).toMatchObject([{ type: 'sse.reset', data: { reason: 'lost' } }]);
  });

  it('rejects the loss of history for a wrong channel, and with `history: false`', async () => {
    const { sse } = await compileTesting({ history: false });
    expect(() => sse.loseHistory('a b')).toThrow('Expected `channel` to be');
    expect(() => sse.loseHistory()).toThrow('Expected `history` to be kept');
  });
});

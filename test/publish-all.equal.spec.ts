import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { compareCursors } from '../src/event/event.js';
import { type Listed, listOf, numbers, publishing, publishList } from './support/publishing.js';
import { until } from './support/until.js';

const owned = (from: number, to: number): Listed[] =>
  listOf(from, to).map((event) => ({ ...event, id: `own${String(event.data)}` }));

/** Lists that are published one after the other. The last event is stored: only lists take numbers for transient ones. */
const SHAPES: Record<string, { maxEvents: number; lists: readonly (readonly Listed[])[] }> = {
  'plain events': { maxEvents: 1_000, lists: [listOf(0, 30), listOf(30, 40)] },
  'types, retries and own ids': {
    maxEvents: 1_000,
    lists: [[{ data: { n: 1 }, type: 'a', retry: 5 }, { data: 'two', id: 'b' }, { data: null }], owned(3, 6)],
  },
  'own ids that are used again': {
    maxEvents: 1_000,
    lists: [owned(0, 3), [...owned(2, 5), ...owned(2, 5), { data: 'end' }]],
  },
  'more own ids than the channel keeps events, in one list': { maxEvents: 10, lists: [owned(0, 15)] },
  'several times as many own ids': { maxEvents: 10, lists: [owned(0, 7), owned(7, 50)] },
  'idempotency keys': {
    maxEvents: 1_000,
    lists: [
      [
        { data: 1, idempotencyKey: 'x' },
        { data: 2, idempotencyKey: 'y', id: 'own' },
        { data: 3, idempotencyKey: 'x' },
      ],
      [{ data: 4, idempotencyKey: 'y' }],
    ],
  },
  'transient events': {
    maxEvents: 1_000,
    lists: [listOf(0, 3).map((event) => ({ ...event, transient: true })), listOf(3, 5)],
  },
  'transient events between others': {
    maxEvents: 1_000,
    lists: [numbers(9).map((data) => ({ data, transient: data % 2 === 1 }))],
  },
  'trimming, in several calls': { maxEvents: 10, lists: [listOf(0, 150), listOf(150, 1_400)] },
};

/** Everything that Redis keeps of a channel, with names in place of its cursors and its publisher. */
async function contentOf(admin: Redis, channel: string, messages: readonly string[]) {
  const keys = (await admin.keys(`*{${channel}}*`)).toSorted();
  const entries = await Promise.all(
    keys.map(async (key) => {
      const type = await admin.type(key);
      const value =
        type === 'stream'
          ? await admin.xrange(key, '-', '+')
          : type === 'hash'
            ? Object.entries(await admin.hgetall(key)).toSorted(([a], [b]) => (a < b ? -1 : 1))
            : await admin.get(key);
      return [key.replace(channel, ''), type, value];
    }),
  );
  const publisher = /"@(.{8})"/.exec(JSON.stringify(entries))?.[1] ?? 'none';
  const text = JSON.stringify({ entries, messages }).replaceAll(publisher, 'publisher');
  const cursors = [...new Set(text.match(/\d{13}-\d+/g))].toSorted(compareCursors);
  const names = new Map(cursors.map((cursor, n) => [cursor, `cursor${n}`]));
  return {
    content: JSON.parse(text.replaceAll(/\d{13}-\d+/g, (cursor) => names.get(cursor)!)) as unknown,
    ttls: await Promise.all(keys.map((key) => admin.pttl(key))),
  };
}

describe('A list', () => {
  const { redis, start, publish } = publishing();

  it.each(Object.entries(SHAPES))(
    'leaves the same in Redis as its events one by one: %s',
    async (_, shape) => {
      const { maxEvents, lists } = shape;
      // Trimming removes whole nodes. Their size in bytes depends on the digits of the cursors.
      await redis.admin.config('SET', 'stream-node-max-bytes', '0');
      const given = { maxEvents, maxAgeMs: 60_000 };
      const [single, all] = [await start(redis.proxy.url, given), await start(redis.proxy.url, given)];
      const messages: Record<string, string[]> = { one: [], all: [] };
      const subscriber = redis.server.admin();
      await subscriber.psubscribe('*');
      subscriber.on('pmessage', (__, live: string, message: string) => {
        for (const channel of ['one', 'all']) if (live.endsWith(channel)) messages[channel]!.push(message);
      });
      for (const list of lists) {
        for (const { data, ...options } of list) await publish(single, data, { ...options, channel: 'one' });
        await publishList(all, list, 'all');
      }
      for (const channel of ['one', 'all']) await redis.admin.publish(`sse:${channel}`, 'end');
      await until(() => Object.values(messages).every((each) => each.at(-1) === 'end'));
      const [expected, found] = [
        await contentOf(redis.admin, 'one', messages.one!),
        await contentOf(redis.admin, 'all', messages.all!),
      ];
      subscriber.disconnect();
      expect(found.content).toEqual(expected.content);
      for (const [n, ttl] of found.ttls.entries()) {
        expect(ttl).toBeGreaterThan(0);
        expect(Math.abs(ttl - expected.ttls[n]!)).toBeLessThan(10_000);
      }
    },
  );
});

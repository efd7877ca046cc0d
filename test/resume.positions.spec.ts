import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { numbers, range, resume, resuming, stores } from './support/resuming.js';

/** The ids that a client can resume from, of one channel or several. */
describe.each(platforms)('The positions of a resuming client on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, optionsOf) => {
    const { node, publish } = resuming(platform, optionsOf);

    it('also accepts the id in the query', async () => {
      const ids = await publish(0, 3);
      const client = await connect(`${node.url}/channel?lastEventId=${ids[0]}`);
      expect(numbers(await client.take(2))).toEqual([1, 2]);
    });

    it('resumes from publishers’ ids, each at its earliest event', async () => {
      for (const [n, id] of ['a', undefined, '12345', 'a', undefined].entries())
        await node.sse.publish(n, { id });
      expect(numbers(await (await resume(node.url, '12345')).take(2))).toEqual([3, 4]);
      expect(numbers(await (await resume(node.url, 'a')).take(4))).toEqual([1, 2, 3, 4]);
    });

    it.each([
      ['junk', 'no such id'],
      ['a special id of Redis', '*'],
      ['a range', '(0-1'],
      ['0', '0'],
      ['a negative number', '-1'],
      ['two ids', '1, 2'],
      ['an unknown cursor', '1763884800000-5'],
      ['a cursor from the future', '9999999999999999-9999999999999999'],
      ['10,000 characters', 'x'.repeat(10_000)],
      ['a composite cursor of other channels', 'abcdefgh.1763884800000-5~abcdefgi.1763884800000-6'],
    ])('sends one reset and live events for %s', async (_what, id) => {
      const ids = await publish(0, 3);
      const client = await resume(node.url, id);
      const reason = /^\d{10,16}-\d/.test(id) ? 'lost' : 'unknown';
      const data = JSON.stringify({ channel: 'sse', reason });
      expect(await client.next()).toEqual({ id: ids[2], event: 'sse.reset', data });
      await publish(3, 5);
      expect(numbers(await client.take(2))).toEqual([3, 4]);
    });

    it('does not know the cursor of another channel', async () => {
      const [id] = await publish(0, 1, 'other');
      await publish(0, 1);
      expect(await (await resume(node.url, id!)).next()).toMatchObject({ event: 'sse.reset' });
    });

    it('resumes several channels exactly, in any order, and starts new ones live', async () => {
      const client = await connect(`${node.url}/channel?channel=a&channel=b`);
      await client.next();
      await publish(0, 300, 'a');
      await publish(300, 600, 'b');
      const events = await client.take(600);
      await publish(1_000, 1_001, 'c');
      for (const { id } of [events[10]!, events[299]!, events[450]!]) {
        const next = await connect(`${node.url}/channel?channel=c&channel=b&channel=a&lastEventId=${id}`);
        const missed = events.slice(events.findIndex((event) => event.id === id) + 1);
        const got = numbers(await next.take(missed.length));
        expect(got.filter((n) => n < 300)).toEqual(numbers(missed).filter((n) => n < 300));
        expect(got.filter((n) => n >= 300)).toEqual(numbers(missed).filter((n) => n >= 300));
        expect(next.events.filter(({ event }) => event !== undefined)).toEqual([]);
        next.close();
      }
      const alone = await connect(`${node.url}/channel?channel=b&lastEventId=${events[450]!.id}`);
      expect(numbers(await alone.take(149))).toEqual(range(451, 600));
    });

    it('resumes the channel that the id of a single-channel connection belongs to, and starts the others live', async () => {
      const ids = await publish(0, 3, 'a');
      await publish(3, 6, 'b');
      const client = await connect(`${node.url}/channel?channel=b&channel=a&lastEventId=${ids[0]}`);
      expect(numbers(await client.take(2))).toEqual([1, 2]);
      await publish(6, 7, 'b');
      expect(numbers(await client.take(1))).toEqual([6]);
      const lost = await connect(`${node.url}/channel?channel=b&channel=a&lastEventId=nonsense`);
      expect((await lost.take(2)).map(({ event, data }) => [event, data])).toEqual([
        ['sse.reset', '{"channel":"b","reason":"unknown"}'],
        ['sse.reset', '{"channel":"a","reason":"unknown"}'],
      ]);
    });
  });
});

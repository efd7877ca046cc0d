import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect, type StreamClient } from './support/client.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { StreamController } from './support/stream.controller.js';
import { until } from './support/until.js';

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
const numbers = (events: { data: string }[]) => events.map(({ data }) => Number(data));

/** What a client gets that comes back. */
describe.each(platforms)('Resuming on %s', (_, platform) => {
  const start = async (options: SseModuleOptions) => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot(options)],
      controllers: [StreamController],
    });
    return { sse: app.get(SseService), url };
  };
  const resume = (url: string, id: string, channel = 'sse', route = 'channel') =>
    connect(`${url}/${route}?channel=${channel}`, { 'last-event-id': id });

  describe.each([
    ['in memory', (): SseModuleOptions => ({})],
    ['on Redis', (): SseModuleOptions => ({ redis: redisUrl(), prefix: randomPrefix() })],
  ])('%s', (_broker, optionsOf) => {
    let options: SseModuleOptions;
    let sse: SseService;
    let url: string;

    beforeEach(async () => {
      options = optionsOf();
      ({ sse, url } = await start(options));
    });
    const publish = (from: number, to: number, channel = 'sse') =>
      Promise.all(range(from, to).map((n) => sse.publish(n, { channel })));

    it.each(['sse', 'channel'])('gives what was missed, and then what comes (/%s)', async (route) => {
      const ids = await publish(0, 10);
      const client = await resume(url, ids[3]!, 'sse', route);
      expect(await client.take(6)).toMatchObject(ids.slice(4).map((id) => ({ id, event: undefined })));
      await publish(10, 12);
      expect(numbers(await client.take(2))).toEqual([10, 11]);
      expect(client.events).toHaveLength(8);
    });

    it('takes the id from the query, too', async () => {
      const ids = await publish(0, 3);
      const client = await connect(`${url}/channel?lastEventId=${ids[0]}`);
      expect(numbers(await client.take(2))).toEqual([1, 2]);
    });

    it('gives more than a page, and more than the ring holds', async () => {
      const ids = await publish(0, 900);
      const client = await resume(url, ids[0]!);
      expect(numbers(await client.take(899))).toEqual(range(1, 900));
    });

    it.each(['sse', 'channel'])('has no seam between what was missed and what comes (/%s)', async (route) => {
      const total = 1_500;
      const ids = await publish(0, 50);
      const clients: { client: StreamClient; from: number }[] = [];
      for (let n = 50; n < total; n += 50) {
        const from = ids.length - 1 - (n % 400);
        if (n % 100 === 0)
          clients.push({
            client: await resume(url, ids[Math.max(0, from)]!, 'sse', route),
            from: Math.max(0, from),
          });
        ids.push(...(await publish(n, n + 50)));
      }
      expect(clients.length).toBeGreaterThan(10);
      for (const { client, from } of clients) {
        await until(() => client.events.length >= total - 1 - from);
        expect(numbers(client.events)).toEqual(range(from + 1, total));
      }
    });

    it('goes on from every single event, as often as the connection breaks', async () => {
      const ids = await publish(0, 20);
      const seen: number[] = [];
      for (let id = ids[0]!; seen.length < 19;) {
        const client = await resume(url, id);
        const event = await client.next();
        client.close();
        seen.push(Number(event.data));
        id = event.id!;
      }
      expect(seen).toEqual(range(1, 20));
    });

    it('resumes by publishers’ ids, each at its earliest event', async () => {
      for (const [n, id] of ['a', undefined, '12345', 'a', undefined].entries()) await sse.publish(n, { id });
      expect(numbers(await (await resume(url, '12345')).take(2))).toEqual([3, 4]);
      expect(numbers(await (await resume(url, 'a')).take(4))).toEqual([1, 2, 3, 4]);
    });

    it.each([
      ['junk', 'no such id'],
      ['Redis’s own words', '*'],
      ['a range', '(0-1'],
      ['0', '0'],
      ['a negative number', '-1'],
      ['two ids', '1, 2'],
      ['another channel’s cursor shape', '1763884800000-5'],
      ['a cursor from the future', '9999999999999999-9999999999999999'],
      ['10,000 characters', 'x'.repeat(10_000)],
      ['a composite cursor of other channels', 'abcdefgh.1763884800000-5~abcdefgi.1763884800000-6'],
    ])('answers %s with one reset and the live stream', async (_what, id) => {
      const ids = await publish(0, 3);
      const client = await resume(url, id);
      const reason = /^\d{10,16}-\d/.test(id) ? 'lost' : 'unknown';
      const data = JSON.stringify({ channel: 'sse', reason });
      expect(await client.next()).toEqual({ id: ids[2], event: 'sse.reset', data });
      await publish(3, 5);
      expect(numbers(await client.take(2))).toEqual([3, 4]);
    });

    it('does not know the cursor of another channel', async () => {
      const [id] = await publish(0, 1, 'other');
      await publish(0, 1);
      expect(await (await resume(url, id!)).next()).toMatchObject({ event: 'sse.reset' });
    });

    it('resumes several channels exactly, in any order, and begins new ones live', async () => {
      const client = await connect(`${url}/channel?channel=a&channel=b`);
      await client.next();
      await publish(0, 300, 'a');
      await publish(300, 600, 'b');
      const events = await client.take(600);
      await publish(1_000, 1_001, 'c');
      for (const { id } of [events[10]!, events[299]!, events[450]!]) {
        const next = await connect(`${url}/channel?channel=c&channel=b&channel=a&lastEventId=${id}`);
        const missed = events.slice(events.findIndex((event) => event.id === id) + 1);
        const got = numbers(await next.take(missed.length));
        expect(got.filter((n) => n < 300)).toEqual(numbers(missed).filter((n) => n < 300));
        expect(got.filter((n) => n >= 300)).toEqual(numbers(missed).filter((n) => n >= 300));
        expect(next.events.filter(({ event }) => event !== undefined)).toEqual([]);
        next.close();
      }
      const alone = await connect(`${url}/channel?channel=b&lastEventId=${events[450]!.id}`);
      expect(numbers(await alone.take(149))).toEqual(range(451, 600));
    });

    it('resumes with the one id of a stream of one channel where it belongs, and begins the others live', async () => {
      const ids = await publish(0, 3, 'a');
      await publish(3, 6, 'b');
      const client = await connect(`${url}/channel?channel=b&channel=a&lastEventId=${ids[0]}`);
      expect(numbers(await client.take(2))).toEqual([1, 2]);
      await publish(6, 7, 'b');
      expect(numbers(await client.take(1))).toEqual([6]);
      const lost = await connect(`${url}/channel?channel=b&channel=a&lastEventId=nonsense`);
      expect((await lost.take(2)).map(({ event, data }) => [event, data])).toEqual([
        ['sse.reset', '{"channel":"b","reason":"unknown"}'],
        ['sse.reset', '{"channel":"a","reason":"unknown"}'],
      ]);
    });

    it.each([
      ['events', { maxReplayEvents: 100 }, (n: number) => n],
      ['bytes', { maxReplayBytes: 10_000 }, (n: number) => `${n} ${'x'.repeat(500)}`],
    ])('resets who has missed more %s than one client gets', async (_what, history, dataOf) => {
      const node = await start({ ...options, history });
      const ids: string[] = [];
      for (let n = 0; n < 350; n++) ids.push(await node.sse.publish(dataOf(n)));
      const far = await resume(node.url, ids[0]!);
      await until(() => far.events.some(({ event }) => event === 'sse.reset'));
      const reset = far.events.find(({ event }) => event === 'sse.reset');
      expect(reset).toMatchObject({ id: ids[349], data: '{"channel":"sse","reason":"limit"}' });
      const near = await resume(node.url, ids[339]!);
      expect(await near.take(10)).toMatchObject(ids.slice(340).map((id) => ({ id })));
      const id = await node.sse.publish('next');
      await until(() => far.events.at(-1)?.id === id && near.events.at(-1)?.id === id);
    });

    it('waits for a client that reads slowly, which then gets everything', async () => {
      const node = await start({ ...options, history: { maxReplayBytes: 2 ** 30 } });
      const data = 'x'.repeat(200_000);
      const ids: string[] = [];
      for (let n = 0; n < 80; n++) ids.push(await node.sse.publish(data));
      const { hostname, port } = new URL(node.url);
      const socket = connectSocket(Number(port), hostname);
      await once(socket, 'connect');
      socket.pause();
      socket.write(`GET /channel HTTP/1.1\r\nhost: x\r\nlast-event-id: ${ids[0]}\r\n\r\n`);
      await until(() => node.sse.stats().streams === 1);
      // By the time that another one has all of it, this one would have been cut.
      await (await resume(node.url, ids[0]!)).take(79);
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.resume();
      await until(() => text.match(/^id: .*$/gm)?.length === 79);
      expect(text.match(/^id: .*$/gm)).toEqual(ids.slice(1).map((id) => `id: ${id}`));
      socket.destroy();
    });

    it('has neither cursors nor resets without history', async () => {
      const node = await start({
        ...options,
        prefix: 'prefix' in options ? randomPrefix() : undefined,
        history: false,
      });
      expect(await node.sse.publish(0, { channel: 'a' })).toBe('');
      const one = await resume(node.url, '1763884800000-5', 'a');
      const two = await connect(`${node.url}/channel?channel=a&channel=b&lastEventId=x`);
      const nest = await resume(node.url, 'x', 'a', 'sse');
      await until(() => node.sse.stats().streams === 3);
      await until(async () => {
        await node.sse.publish('ready', { channel: 'a', transient: true });
        return nest.events.length > 0 && one.events.length > 0 && two.events.length > 0;
      });
      expect(await node.sse.publish(1, { channel: 'a' })).toBe('');
      expect(await node.sse.publish(2, { channel: 'a', id: 'own' })).toBe('own');
      await until(() => [one, two, nest].every(({ events }) => events.at(-1)?.data === '2'));
      for (const { events } of [one, two, nest]) {
        expect(events.slice(-2)).toEqual([
          { id: '', event: undefined, data: '1' },
          { id: 'own', event: undefined, data: '2' },
        ]);
        expect(events.every(({ event }) => event === undefined)).toBe(true);
      }
    });
  });

  describe('on another node', () => {
    it('gives what neither this node nor its ring has ever seen', async () => {
      const options = { redis: redisUrl(), prefix: randomPrefix() };
      const [one, two] = [await start(options), await start(options)];
      const ids = await Promise.all(range(0, 350).map((n) => one.sse.publish(n)));
      const client = await resume(two.url, ids[10]!);
      expect(numbers(await client.take(339))).toEqual(range(11, 350));
      await one.sse.publish(350);
      expect(numbers([await client.next()])).toEqual([350]);
    });

    it('gives a crowd that missed the same what it missed, in few reads', async () => {
      const server = await startRedis();
      const [one, two] = [await start({ redis: server.url }), await start({ redis: server.url })];
      const ids = await Promise.all(range(0, 101).map((n) => one.sse.publish(n)));
      const admin = server.admin();
      await admin.config('RESETSTAT');
      const clients = await Promise.all(range(0, 300).map(() => resume(two.url, ids[0]!)));
      for (const client of clients) expect(numbers(await client.take(100))).toEqual(range(1, 101));
      const stats = await admin.info('commandstats');
      const [, evals] = /cmdstat_evalsha:calls=(\d+)/.exec(stats)!;
      expect(Number(evals)).toBeLessThanOrEqual(30);
      admin.disconnect();
    });
  });
});

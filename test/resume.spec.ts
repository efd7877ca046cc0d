import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { numbers, range, resume, resuming, startNode, stores } from './support/resuming.js';
import { until } from './support/until.js';

/** A client that reconnects gets the events that it has missed. */
describe.each(platforms)('Resuming on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, optionsOf) => {
    const { node, publish } = resuming(platform, optionsOf);

    it.each(['sse', 'channel'])('sends missed events, then live events (/%s)', async (route) => {
      const ids = await publish(0, 10);
      const client = await resume(node.url, ids[3]!, 'sse', route);
      expect(await client.take(6)).toMatchObject(ids.slice(4).map((id) => ({ id, event: undefined })));
      await publish(10, 12);
      expect(numbers(await client.take(2))).toEqual([10, 11]);
      expect(client.events).toHaveLength(8);
    });

    it('sends more missed events than a history page or the ring holds', async () => {
      const ids = await publish(0, 900);
      const client = await resume(node.url, ids[0]!);
      expect(numbers(await client.take(899))).toEqual(range(1, 900));
    });

    it.each(['sse', 'channel'])(
      'neither skips nor repeats an event between missed and live events (/%s)',
      async (route) => {
        const total = 1_500;
        const ids = await publish(0, 50);
        const clients: { client: SseClient; from: number }[] = [];
        for (let n = 50; n < total; n += 50) {
          const from = ids.length - 1 - (n % 400);
          if (n % 100 === 0)
            clients.push({
              client: await resume(node.url, ids[Math.max(0, from)]!, 'sse', route),
              from: Math.max(0, from),
            });
          ids.push(...(await publish(n, n + 50)));
        }
        expect(clients.length).toBeGreaterThan(10);
        for (const { client, from } of clients) {
          await until(() => client.events.length >= total - 1 - from);
          expect(numbers(client.events)).toEqual(range(from + 1, total));
        }
      },
    );

    it('resumes from every single event, after any number of broken connections', async () => {
      const ids = await publish(0, 20);
      const seen: number[] = [];
      for (let id = ids[0]!; seen.length < 19;) {
        const client = await resume(node.url, id);
        const event = await client.next();
        client.close();
        seen.push(Number(event.data));
        id = event.id!;
      }
      expect(seen).toEqual(range(1, 20));
    });

    it.each([
      ['events', { maxReplayEvents: 100 }, (n: number) => n],
      ['bytes', { maxReplayBytes: 10_000 }, (n: number) => `${n} ${'x'.repeat(500)}`],
    ])('resets a client that has missed more %s than the limit', async (_what, history, dataOf) => {
      const other = await startNode(platform, { ...node.options, history });
      const ids: string[] = [];
      for (let n = 0; n < 350; n++) ids.push(await other.sse.publish(dataOf(n)));
      const far = await resume(other.url, ids[0]!);
      await until(() => far.events.some(({ event }) => event === 'sse.reset'));
      const reset = far.events.find(({ event }) => event === 'sse.reset');
      expect(reset).toMatchObject({ id: ids[349], data: '{"channel":"sse","reason":"limit"}' });
      const near = await resume(other.url, ids[339]!);
      expect(await near.take(10)).toMatchObject(ids.slice(340).map((id) => ({ id })));
      const id = await other.sse.publish('next');
      await until(() => far.events.at(-1)?.id === id && near.events.at(-1)?.id === id);
    });

    it('waits for a client that reads slowly, and sends it every event', async () => {
      const other = await startNode(platform, { ...node.options, history: { maxReplayBytes: 2 ** 30 } });
      const data = 'x'.repeat(200_000);
      const ids: string[] = [];
      for (let n = 0; n < 80; n++) ids.push(await other.sse.publish(data));
      const { hostname, port } = new URL(other.url);
      const socket = connectSocket(Number(port), hostname);
      await once(socket, 'connect');
      socket.pause();
      socket.write(`GET /channel HTTP/1.1\r\nhost: x\r\nlast-event-id: ${ids[0]}\r\n\r\n`);
      await until(() => other.sse.stats().connections === 1);
      // If the replay did not wait, this client would be disconnected by the time that another one has all events.
      await (await resume(other.url, ids[0]!)).take(79);
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.resume();
      await until(() => text.match(/^id: .*$/gm)?.length === 79);
      expect(text.match(/^id: .*$/gm)).toEqual(ids.slice(1).map((id) => `id: ${id}`));
      socket.destroy();
    });

    it('sends neither cursors nor resets without history', async () => {
      const other = await startNode(platform, {
        ...node.options,
        prefix: 'prefix' in node.options ? randomPrefix() : undefined,
        history: false,
      });
      expect(await other.sse.publish(0, { channel: 'a' })).toBe('');
      const one = await resume(other.url, '1763884800000-5', 'a');
      const two = await connect(`${other.url}/channel?channel=a&channel=b&lastEventId=x`);
      const nest = await resume(other.url, 'x', 'a', 'sse');
      await until(() => other.sse.stats().connections === 3);
      await until(async () => {
        await other.sse.publish('ready', { channel: 'a', transient: true });
        return nest.events.length > 0 && one.events.length > 0 && two.events.length > 0;
      });
      expect(await other.sse.publish(1, { channel: 'a' })).toBe('');
      expect(await other.sse.publish(2, { channel: 'a', id: 'own' })).toBe('own');
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
    it('sends events that this node has never received', async () => {
      const options = { redis: redisUrl(), prefix: randomPrefix() };
      const [one, two] = [await startNode(platform, options), await startNode(platform, options)];
      const ids = await Promise.all(range(0, 350).map((n) => one.sse.publish(n)));
      const client = await resume(two.url, ids[10]!);
      expect(numbers(await client.take(339))).toEqual(range(11, 350));
      await one.sse.publish(350);
      expect(numbers([await client.next()])).toEqual([350]);
    });

    it('sends many clients the same missed events with few reads of the history', async () => {
      const server = await startRedis();
      const [one, two] = [
        await startNode(platform, { redis: server.url }),
        await startNode(platform, { redis: server.url }),
      ];
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

import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { startHeld, startNode, stores } from './support/streams-app.js';
import { until } from './support/until.js';

const DONE = ['sse.end', '{"status":"done"}'];
const seen = ({ events }: SseClient) => events.map(({ event, data }) => [event, data]);
/** Everything up to the end of the response. */
const readAll = async (client: SseClient) => {
  await until(() => client.ended);
  return seen(client);
};

describe.each(platforms)('A stream on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, options) => {
    it('is delivered from its first event, before, while and after it is produced', async () => {
      const { streams, url } = await startNode(platform, options());
      const { out, release } = await startHeld(streams, 'a');
      const before = await connect(`${url}/streams/a`);
      for (let n = 0; n < 3; n++) out.write(n, { type: 'step' });
      const during = await connect(`${url}/streams/a`);
      out.write('last');
      release();
      await until(() => before.ended && during.ended);
      const after = await connect(`${url}/streams/a`);
      expect(await readAll(after)).toEqual([
        ['sse.open', '{"channel":"a"}'],
        ['step', '0'],
        ['step', '1'],
        ['step', '2'],
        [undefined, 'last'],
        DONE,
      ]);
      expect([before.events, during.events]).toEqual([after.events, after.events]);
    });

    it('is answered to the request that starts it, and goes on when that request is gone', async () => {
      const { streams, url, sse } = await startNode(platform, options());
      const response = await fetch(`${url}/count/a`, { method: 'POST' });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toContain('text/event-stream');
      expect(await response.text()).toMatch(/data: 0\n[^]*data: 4\n[^]*event: sse.end\n/);
      const { out, release, handle } = await startHeld(streams, 'b');
      const reader = await connect(`${url}/streams/b`);
      reader.close();
      await until(() => sse.connections().length === 0);
      expect(out.write('still written')).toBe(true);
      release();
      expect(await handle.done).toEqual({ status: 'done' });
    });

    it('is answered with 204 after its end, to a client that has it', async () => {
      const { streams, url } = await startNode(platform, options());
      await (
        await streams.start('a', (out) => void out.write(1))
      ).done;
      const client = await connect(`${url}/streams/a`);
      await readAll(client);
      const { id } = client.events.at(-1)!;
      const again = await connect(`${url}/streams/a`, { 'last-event-id': id! });
      expect([again.status, await again.body()]).toEqual([204, '']);
      expect((await connect(`${url}/streams/a?lastEventId=${id}`)).status).toBe(204);
    });

    it('is answered with 204 if nothing is kept of it; with an id, with one sse.reset and sse.end', async () => {
      const { url } = await startNode(platform, options());
      expect((await connect(`${url}/streams/never`)).status).toBe(204);
      const client = await connect(`${url}/streams/never`, { 'last-event-id': '1700000000000-5' });
      expect(await readAll(client)).toEqual([
        ['sse.reset', '{"channel":"never","reason":"lost"}'],
        ['sse.end', '{"status":"lost","reason":"expired"}'],
      ]);
      // The client has no id any more, so that it gets 204 the next time.
      expect(client.events.map(({ id }) => id)).toEqual(['', '']);
    });

    it('is delivered after the id of a client, from each event, to the end', async () => {
      const { streams, url } = await startNode(platform, options());
      const source = Array.from({ length: 130 }, (__, n) => n);
      await (
        await streams.start('a', () => source.values())
      ).done;
      const whole = await connect(`${url}/streams/a`);
      await readAll(whole);
      for (const n of [0, 1, 2, 64, 65, 66, 128, 130]) {
        const client = await connect(`${url}/streams/a`, { 'last-event-id': whole.events[n]!.id! });
        await until(() => client.ended);
        expect(client.events).toEqual(whole.events.slice(n + 1));
      }
    });

    it.each(['an invented id', '1700000000000-5', 'of the generation before'])(
      'resets a client with %s, and is then delivered from its first event',
      async (given) => {
        const { streams, url, sse } = await startNode(platform, options());
        await (
          await streams.start('a', (out) => void out.write('old'))
        ).done;
        const { lastEventId } = await streams.status('a');
        const { release, out } = await startHeld(streams, 'a');
        out.write('new');
        const id = given.startsWith('of') ? lastEventId! : given;
        const client = await connect(`${url}/streams/a`, { 'last-event-id': id });
        await until(() => client.events.length === 2);
        release();
        expect(await readAll(client)).toEqual([
          ['sse.reset', `{"channel":"a","reason":"${given.includes('invented') ? 'unknown' : 'lost'}"}`],
          [undefined, 'new'],
          DONE,
        ]);
        const { resets } = sse.stats();
        expect(resets.lost + resets.unknown).toBe(1);
        // A client that reconnects after the reset gets it once.
        const again = await connect(`${url}/streams/a`, { 'last-event-id': client.events[0]!.id! });
        expect(await readAll(again)).toEqual([[undefined, 'new'], DONE]);
      },
    );

    it('gets no event of a publisher, and keeps what it delivers apart from other streams', async () => {
      const { streams, url, sse } = await startNode(platform, options());
      const [a, b] = [await startHeld(streams, 'a'), await startHeld(streams, 'b')];
      const client = await connect(`${url}/streams/a`);
      await client.next();
      await expect(sse.publish('foreign', { channel: 'a' })).rejects.toMatchObject({ code: 'SSE_INPUT' });
      expect(await sse.publish('foreign', { channel: 'a', transient: true })).toBe('');
      b.out.write('of b');
      a.out.write('of a');
      a.release();
      expect((await readAll(client)).slice(1)).toEqual([[undefined, 'of a'], DONE]);
      b.release();
    });

    it('delivers more events than one replay may have', async () => {
      const { streams, url } = await startNode(platform, { ...options(), history: { maxReplayEvents: 10 } });
      await (
        await streams.start('a', () => Array.from({ length: 3_000 }, (__, n) => n).values())
      ).done;
      const client = await connect(`${url}/streams/a`);
      const events = await readAll(client);
      expect(events.slice(1, -1).map(([, data]) => Number(data))).toEqual(
        Array.from({ length: 3_000 }, (__, n) => n),
      );
    });
  });

  it('is delivered once and in order to 50 readers on 3 nodes, before, while and after it is produced', async () => {
    const options = { redis: redisUrl(), prefix: randomPrefix() };
    const nodes = [
      await startNode(platform, options),
      await startNode(platform, options),
      await startNode(platform, options),
    ] as const;
    const { out, release } = await startHeld(nodes[0].streams, 'a');
    const clients: SseClient[] = [];
    const attach = async (count: number) => {
      for (let n = 0; n < count; n++)
        clients.push(await connect(`${nodes[clients.length % 3]!.url}/streams/a`));
    };
    await attach(20);
    for (let n = 0; n < 1_000; n++) {
      out.write(n);
      if (n % 100 === 50) await attach(1);
      if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    release();
    await until(() => clients.every(({ ended }) => ended));
    await attach(20);
    await until(() => clients.every(({ ended }) => ended));
    expect(clients).toHaveLength(50);
    const expected = Array.from({ length: 1_000 }, (__, n) => String(n));
    for (const { events } of clients) {
      expect(events.slice(1, -1).map(({ data }) => data)).toEqual(expected);
      expect(events.slice(1)).toEqual(clients[0]!.events.slice(1));
      expect(events.at(-1)).toMatchObject({ event: 'sse.end', data: '{"status":"done"}' });
    }
  });
});

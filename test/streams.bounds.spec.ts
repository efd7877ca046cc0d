import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { startRedis } from './support/redis.js';
import { startHeld, startNode, stores } from './support/streams-app.js';
import { eventually, until } from './support/until.js';

const [[, platform]] = platforms;

describe.each(stores)('A stream %s', (_, options) => {
  it('ends visibly when its events exceed maxBytes, and keeps those before', async () => {
    const { streams, url } = await startNode(platform, options());
    const handle = await streams.start(
      'a',
      async (out) => {
        let written = 0;
        while (out.write('x'.repeat(1_000))) written++;
        expect([written, out.signal.aborted]).toEqual([9, true]);
      },
      { maxBytes: 10_000 },
    );
    const end = { status: 'error', reason: 'maxBytes' };
    expect(await eventually('The end', handle.done)).toEqual(end);
    const client = await connect(`${url}/streams/a`);
    await until(() => client.ended);
    expect(client.events).toHaveLength(1 + 9 + 1);
    expect(client.events.at(-1)).toMatchObject({ event: 'sse.end', data: JSON.stringify(end) });
  });

  it('ends visibly after maxMs', async () => {
    const { streams } = await startNode(platform, options());
    const { handle, out } = await startHeld(streams, 'a', { maxMs: 100 });
    expect(await eventually('The end', handle.done)).toEqual({ status: 'error', reason: 'maxMs' });
    expect(out.signal.aborted).toBe(true);
  });

  it('is gone after keepMs, for readers and for its state', async () => {
    const { streams, url } = await startNode(platform, options());
    const handle = await streams.start('a', (out) => void out.write(1), { keepMs: 1_000 });
    const client = await connect(`${url}/streams/a`);
    await handle.done;
    await until(() => client.ended);
    await until(async () => (await streams.status('a')).state === 'missing');
    expect((await connect(`${url}/streams/a`)).status).toBe(204);
    const { id } = client.events[1]!;
    const late = await connect(`${url}/streams/a`, { 'last-event-id': id! });
    await until(() => late.ended);
    expect(late.events.map(({ event }) => event)).toEqual(['sse.reset', 'sse.end']);
  });
});

describe('The keys of a stream in Redis', () => {
  /** The names and the times to live of its keys. */
  const keys = async (admin: Redis) => {
    const names = (await admin.keys('*{a}*')).toSorted();
    return Promise.all(names.map(async (name) => [name, await admin.pttl(name)] as const));
  };

  it('expire from their first moment, later while it is live, and after keepMs none is left', async () => {
    const redis = await startRedis();
    const admin = redis.admin();
    const { app, streams, url } = await startNode(platform, { redis: redis.url });
    const options = { leaseMs: 1_000, keepMs: 1_500 };
    const { out, release, handle } = await startHeld(streams, 'a', options);
    const started = await keys(admin);
    expect(started.map(([name]) => name)).toEqual(['sse:{a}:meta']);
    const client = await connect(`${url}/streams/a`);
    out.write(1);
    await until(async () => (await admin.exists('sse:{a}:history')) === 1);
    for (let n = 0; n < 30; n++) {
      const live = await keys(admin);
      expect(live.map(([name]) => name)).toEqual(['sse:{a}:history', 'sse:{a}:meta']);
      for (const [, ttl] of [...started, ...live]) expect(ttl).toBeGreaterThan(1_500);
      for (const [, ttl] of [...started, ...live]) expect(ttl).toBeLessThanOrEqual(3_500);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    release();
    await handle.done;
    // Its node has to read the history.
    const other = await startNode(platform, { redis: redis.url });
    const late = await connect(`${other.url}/streams/a`);
    await until(() => late.ended);
    for (const [, ttl] of await keys(admin)) expect(ttl).toBeLessThanOrEqual(1_500);
    await until(() => client.ended);
    await until(async () => (await admin.keys('*{a}*')).length === 0);
    // Its channel is still subscribed for a while: nothing writes the keys again.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await connect(`${url}/streams/a`)).status).toBe(204);
    expect(await admin.keys('*{a}*')).toEqual([]);
    await Promise.all([app.close(), other.app.close()]);
    admin.disconnect();
  });

  it('grow with the text of its events, and not with their number of packs', async () => {
    const redis = await startRedis();
    const admin = redis.admin();
    const { app, streams } = await startNode(platform, { redis: redis.url });
    const bytesOf = async (count: number) => {
      const id = `s${count}`;
      const { done } = await streams.start(id, () =>
        Array.from({ length: count }, () => 'x'.repeat(20)).values(),
      );
      await done;
      return Number(await admin.memory('USAGE', `sse:{${id}}:history`, 'SAMPLES', 0));
    };
    const [small, large] = [await bytesOf(5_000), await bytesOf(50_000)];
    expect(large / small).toBeGreaterThan(8);
    expect(large / small).toBeLessThan(12);
    await app.close();
    admin.disconnect();
  });
});

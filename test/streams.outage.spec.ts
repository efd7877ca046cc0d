import { describe, expect, it } from '@jest/globals';
import { SseBroker } from '../src/broker/broker.js';
import { platforms } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { Proxy } from './support/proxy.js';
import { type RedisServer, startRedis } from './support/redis.js';
import { startHeld, startNode } from './support/streams-app.js';
import { eventually, until } from './support/until.js';

const [[, platform]] = platforms;
const PERSISTENT = ['--appendonly', 'yes', '--appendfsync', 'always'];
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

/** A producer and a reader, each on its own node behind its own proxy. */
async function world(args: readonly string[] = [], stream: object = {}) {
  const redis = await startRedis(args);
  const proxies = [await Proxy.start(redis.port), await Proxy.start(redis.port)] as const;
  const nodes = [
    await startNode(platform, { redis: proxies[0].url }),
    await startNode(platform, { redis: proxies[1].url }),
  ] as const;
  const held = await startHeld(nodes[0].streams, 'a', stream);
  const client = await connect(`${nodes[1].url}/streams/a`);
  await client.next();
  const close = async () => {
    await Promise.all(nodes.map(({ app }) => app.close()));
    for (const proxy of proxies) proxy.close();
  };
  return { redis, proxies, nodes, ...held, client, close };
}
const numbers = ({ events }: SseClient) =>
  events.filter(({ event }) => event === undefined).map(({ data }) => Number(data));
const typesOf = ({ events }: SseClient) => events.flatMap(({ event }) => event ?? []);
const allRead = (client: SseClient) => until(() => client.ended);

async function restart(redis: RedisServer, erases: boolean) {
  await (erases ? redis.killAndErase() : redis.kill());
  await new Promise((resolve) => setTimeout(resolve, 300));
  await redis.start();
}

describe('A stream', () => {
  it('whose end gets lost on its way ends for its readers all the same', async () => {
    const { proxies, out, release, client, handle, close } = await world([], { leaseMs: 2_000 });
    out.write(0);
    await until(() => numbers(client).length === 1);
    let dropped = 0;
    proxies[1].dropMessage = () => ++dropped > 0;
    release();
    await handle.done;
    await until(() => dropped > 0);
    await allRead(client);
    expect(client.events.at(-1)).toMatchObject({ event: 'sse.end', data: '{"status":"done"}' });
    await close();
  });

  it('loses no event and doubles none while messages get lost', async () => {
    const { proxies, out, release, client, close } = await world([], { leaseMs: 1_000 });
    let count = 0;
    proxies[1].dropMessage = () => ++count % 3 === 0;
    for (const n of range(0, 300)) {
      out.write(n);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    release();
    await allRead(client);
    expect(numbers(client)).toEqual(range(0, 300));
    await close();
  });

  it.each(['hangs', 'is killed, and restarts with its data', 'closes all connections'])(
    'goes on, complete and in order, when Redis %s for less than the lease',
    async (fault) => {
      const { redis, proxies, out, release, client, handle, close } = await world(PERSISTENT, {
        leaseMs: 60_000,
      });
      for (const n of range(0, 100)) out.write(n);
      await until(() => numbers(client).length === 100);
      if (fault === 'hangs') redis.signal('SIGSTOP');
      if (fault.startsWith('closes')) for (const proxy of proxies) proxy.cut();
      const restarting = fault.startsWith('is killed') ? restart(redis, false) : undefined;
      for (const n of range(100, 300)) {
        out.write(n);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      redis.signal('SIGCONT');
      await restarting;
      release();
      expect(await eventually('The end', handle.done)).toEqual({ status: 'done' });
      await allRead(client);
      expect(numbers(client)).toEqual(range(0, 300));
      expect(typesOf(client)).toEqual(['sse.open', 'sse.end']);
      await close();
    },
  );

  it('is lost for its producer and its readers when Redis hangs for longer than the lease', async () => {
    const { redis, out, client, handle, nodes, close } = await world([], { leaseMs: 1_000 });
    out.write(0);
    await until(() => numbers(client).length === 1);
    redis.signal('SIGSTOP');
    expect(await eventually('The end', handle.done)).toEqual({ status: 'lost', reason: 'lease' });
    expect(out.signal.aborted).toBe(true);
    redis.signal('SIGCONT');
    await allRead(client);
    expect(client.events.at(-1)).toMatchObject({
      event: 'sse.end',
      data: '{"status":"lost","reason":"lease"}',
    });
    expect(await nodes[1].streams.status('a')).toMatchObject({ state: 'lost' });
    await close();
  });

  it('is lost, after one sse.reset, when Redis restarts without its data', async () => {
    const { redis, out, client, handle, nodes, close } = await world([], { leaseMs: 60_000 });
    for (const n of range(0, 10)) out.write(n);
    await until(() => numbers(client).length === 10);
    await restart(redis, true);
    out.write(10);
    expect(await eventually('The end', handle.done)).toEqual({ status: 'lost', reason: 'data' });
    await allRead(client);
    expect(numbers(client)).toEqual(range(0, 10));
    expect(typesOf(client)).toEqual(['sse.open', 'sse.reset', 'sse.end']);
    expect(client.events.at(-1)).toMatchObject({ id: '', data: '{"status":"lost","reason":"expired"}' });
    expect(await nodes[1].streams.status('a')).toEqual({ state: 'missing' });
    await close();
  });

  it('is lost for readers that need events which Redis has evicted, after one sse.reset each', async () => {
    const { redis, out, client, nodes, handle, close } = await world([], { leaseMs: 60_000 });
    for (const n of range(0, 10)) out.write(n);
    await until(() => numbers(client).length === 10);
    const admin = redis.admin();
    await admin.del('sse:{a}:history');
    const { url } = nodes[0];
    const late = await connect(`${url}/streams/a`, { 'last-event-id': client.events[5]!.id! });
    const fresh = await connect(`${url}/streams/a`);
    // The next call of the owner finds the loss. The client at the end of the stream has everything.
    out.write(10);
    expect(await eventually('The end', handle.done)).toEqual({ status: 'lost', reason: 'data' });
    await allRead(client);
    expect(numbers(client)).toEqual(range(0, 10));
    expect(client.events.at(-1)).toMatchObject({ data: '{"status":"lost","reason":"data"}' });
    for (const reader of [late, fresh]) {
      await allRead(reader);
      expect(typesOf(reader).filter((type) => type !== 'sse.open')).toEqual(['sse.reset', 'sse.end']);
      expect(reader.events.at(-1)).toEqual(client.events.at(-1));
    }
    admin.disconnect();
    await close();
  });

  it('is lost for its readers when Redis has evicted its state, and its id can be used again', async () => {
    const { redis, out, client, handle, nodes, close } = await world([], { leaseMs: 2_000 });
    for (const n of range(0, 10)) out.write(n);
    await until(() => numbers(client).length === 10);
    const admin = redis.admin();
    await admin.del('sse:{a}:meta');
    expect(await eventually('The end', handle.done)).toEqual({ status: 'lost', reason: 'data' });
    await allRead(client);
    expect(typesOf(client)).toEqual(['sse.open', 'sse.reset', 'sse.end']);
    const again = await nodes[1].streams.start('a', (writer) => void writer.write('new'));
    expect(await again.done).toEqual({ status: 'done' });
    admin.disconnect();
    await close();
  });

  it('is lost when Redis has lost its last packs, and its readers, after a reset, have what is left', async () => {
    const { out, client, handle, nodes, redis, close } = await world([], { leaseMs: 60_000 });
    for (const n of range(0, 10)) out.write(n);
    await until(() => numbers(client).length === 10);
    const admin = redis.admin();
    const [before, entries] = [await admin.hgetall('sse:{a}:meta'), await admin.xlen('sse:{a}:history')];
    for (const n of range(10, 20)) out.write(n);
    await until(() => numbers(client).length === 20);
    // What a replica has that takes over without the last packs.
    const all = await admin.xrange('sse:{a}:history', '-', '+');
    for (const [id] of all.slice(entries)) await admin.xdel('sse:{a}:history', id);
    await admin.hset('sse:{a}:meta', before);
    out.write(20);
    expect(await eventually('The end', handle.done)).toEqual({ status: 'lost', reason: 'data' });
    await allRead(client);
    expect(numbers(client)).toEqual([...range(0, 20), ...range(0, 10)]);
    expect(typesOf(client)).toEqual(['sse.open', 'sse.reset', 'sse.end']);
    expect(client.events.at(-1)).toMatchObject({
      event: 'sse.end',
      data: '{"status":"lost","reason":"data"}',
    });
    const late = await connect(`${nodes[0].url}/streams/a`);
    await allRead(late);
    expect(numbers(late)).toEqual(range(0, 10));
    expect(late.events.at(-1)).toEqual(client.events.at(-1));
    admin.disconnect();
    await close();
  });
});

describe('A reader that does not read', () => {
  it('does not slow the producer, and gets the rest when it reads again', async () => {
    const { out, release, nodes, handle, client, close } = await world();
    const stalled = await connect(`${nodes[1].url}/streams/a`);
    await stalled.next();
    stalled.response.pause();
    const text = 'x'.repeat(10_000);
    for (let n = 0; n < 1_000; n++) {
      out.write(n + text);
      if (n % 50 === 0) await out.ready;
    }
    release();
    expect(await eventually('The end', handle.done)).toEqual({ status: 'done' });
    await allRead(client);
    stalled.response.resume();
    await allRead(stalled);
    for (const { events } of [client, stalled]) {
      expect(events.slice(1, -1).map(({ data }) => parseInt(data, 10))).toEqual(range(0, 1_000));
      expect(events.at(-1)).toMatchObject({ event: 'sse.end', data: '{"status":"done"}' });
    }
    await close();
  });
});

describe('A producer that is faster than Redis', () => {
  it('is told by write(), waits in pipe() above 1 MiB, and loses nothing', async () => {
    const { proxies, out, release, client, nodes, close } = await world([], { leaseMs: 60_000 });
    proxies[0].dropDown = true;
    const text = 'x'.repeat(100_000);
    let pulled = 0;
    const source = (function* () {
      for (; pulled < 40; pulled++) yield pulled + text;
    })();
    const piping = out.pipe(source);
    await until(() => pulled >= 10);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(pulled).toBeLessThan(13);
    expect(out.write('beyond')).toBe(false);
    proxies[0].dropDown = false;
    proxies[0].cut();
    await eventually('The pipe', piping);
    release();
    await allRead(client);
    const got = client.events.slice(1, -1).map(({ data }) => data);
    expect(got.filter((data) => data !== 'beyond').map((data) => parseInt(data, 10))).toEqual(range(0, 40));
    expect(got.filter((data) => data === 'beyond')).toHaveLength(1);
    expect(nodes[0].app.get(SseBroker).connected).toBe(true);
    await close();
  });
});

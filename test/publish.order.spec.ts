import { connect as connectSocket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import type { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { compareCursors } from '../src/event/event.js';
import { numbers, publishing } from './support/publishing.js';
import { freePort } from './support/port.js';
import { Proxy } from './support/proxy.js';
import { startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

/** Events are stored in the order of the calls, even if commands arrive late or are refused. */
describe('The order of publications to Redis', () => {
  const { redis, start, publish, publishAll, entries, stored } = publishing();

  it('stores nothing for an attempt that arrives after its retry', async () => {
    const broker = await start();
    await publish(broker, 0);
    // The network delivers these bytes long after their connection is closed.
    const late: Buffer[] = [];
    redis.proxy.dropUp = true;
    redis.proxy.onUp = (chunk) => redis.proxy.dropUp && late.push(chunk);
    const calls = [publish(broker, 1), publish(broker, 2, { id: 'own' })];
    await until(() => Buffer.concat(late).includes('"own"'));
    redis.proxy.dropUp = false;
    redis.proxy.cut();
    await Promise.all(calls);
    const socket = connectSocket(redis.server.port, '127.0.0.1');
    let answers = '';
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString()));
    socket.write(Buffer.concat(late));
    await until(() => answers.match(/REPEATED/g)?.length === 2);
    socket.destroy();
    expect(await stored()).toEqual([0, 1, 2]);
  });

  it('does not store a rejected publication that arrives after a later event', async () => {
    const broker = await start();
    await publish(broker, 0);
    const late: Buffer[] = [];
    redis.proxy.dropUp = true;
    redis.proxy.onUp = (chunk) => redis.proxy.dropUp && late.push(chunk);
    const rejected = expect(publish(broker, 'late')).rejects.toMatchObject({ mayBePublished: true });
    await within(5_000, 'the rejection', rejected);
    redis.proxy.dropUp = false;
    redis.proxy.cut();
    await until(() => broker.connected);
    await publish(broker, 'later');
    const socket = connectSocket(redis.server.port, '127.0.0.1');
    let answers = '';
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString()));
    socket.write(Buffer.concat(late));
    await until(() => answers.includes('REPEATED'));
    socket.destroy();
    expect(await stored()).toEqual([0, 'later']);
  });

  it('does not retry a publication that it has rejected', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.proxy.dropUp = true;
    const rejected = expect(publish(broker, 1)).rejects.toMatchObject({ mayBePublished: true });
    await within(5_000, 'the rejection', rejected);
    redis.proxy.dropUp = false;
    redis.proxy.cut();
    await until(() => broker.connected);
    await publish(broker, 2);
    expect(await stored()).toEqual([0, 2]);
  });

  it('stores an event before the later ones of its channel, even if Redis has refused only the first', async () => {
    const [broker, other] = [await start(), await start(redis.server.url)];
    await publish(broker, 0);
    await redis.admin.script('FLUSH');
    redis.proxy.holdDown = true;
    const refused = publish(broker, 'refused');
    await until(async () => (await redis.admin.info('errorstats')).includes('NOSCRIPT'));
    await publish(other, 'loads the script');
    const [later, elsewhere] = [publish(broker, 'later'), publish(broker, 'elsewhere', { channel: 'b' })];
    await until(async () => (await redis.admin.info('errorstats')).includes('UNORDERED'));
    redis.proxy.holdDown = false;
    await Promise.all([refused, later, elsewhere]);
    expect(await stored()).toEqual([0, 'loads the script', 'refused', 'later']);
  });

  it.each([
    [
      'a script runs for too long',
      async () => {
        await redis.admin.config('SET', 'lua-time-limit', '50');
        const other = redis.server.admin();
        void other.eval('while true do end', 0).catch(() => undefined);
        await until(() =>
          redis.admin.ping().then(
            () => false,
            ({ message }: Error) => message.startsWith('BUSY'),
          ),
        );
        return () => redis.admin.script('KILL').finally(() => other.disconnect());
      },
    ],
    [
      'it has no memory left for a while',
      async () => {
        await redis.admin.config('SET', 'maxmemory', '1mb');
        return () => redis.admin.config('SET', 'maxmemory', '0');
      },
    ],
    [
      'it lacks replicas for a while',
      async () => {
        await redis.admin.config('SET', 'min-replicas-to-write', '1');
        return () => redis.admin.config('SET', 'min-replicas-to-write', '0');
      },
    ],
    [
      'it is a replica for a while',
      async () => {
        await redis.admin.replicaof('127.0.0.1', await freePort());
        return () => redis.admin.replicaof('NO', 'ONE');
      },
    ],
  ])('publishes in call order after Redis has refused because %s', async (_, disturb) => {
    const broker = await start(redis.server.url);
    await publish(broker, 0);
    const calm = await disturb();
    const ids = publishAll(broker, 1, 200);
    setTimeout(() => void calm(), 500);
    expect((await ids).toSorted(compareCursors)).toEqual(await ids);
    expect(await stored()).toEqual(numbers(200));
  });

  it('keeps the order of the calls when scripts are flushed while two nodes publish', async () => {
    const [one, two] = [await start(redis.server.url), await start(redis.server.url)];
    const settled = async (broker: RedisSseBroker, channel: string) => {
      const calls: Promise<string>[] = [];
      for (let n = 0; n < 1_500; n++) {
        calls.push(publish(broker, n, { channel }));
        if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (n % 100 === 50) void redis.admin.script('FLUSH');
      }
      return Promise.allSettled(calls);
    };
    const [a, b] = await Promise.all([settled(one, 'a'), settled(two, 'b')]);
    for (const [results, channel] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const ids = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(await entries(channel)).toEqual(ids);
      expect(ids.length).toBe(1_500);
    }
    expect([await publish(one, 'then'), await publish(two, 'then', { channel: 'b' })]).toEqual([
      (await entries('a')).at(-1),
      (await entries('b')).at(-1),
    ]);
  });

  it.each([
    ['forward', 'replies are lost', 3_600],
    ['forward', 'requests are lost', 3_600],
    ['back', 'replies are lost', -3_600],
    ['back', 'requests are lost', -3_600],
  ])(
    'stores each event once and in order when the clock of Redis steps %s while %s',
    async (_way, loss, step) => {
      const shifted = await startRedis([], { ownClock: true });
      const between = await Proxy.start(shifted.port);
      const broker = await start(between.url, { maxAgeMs: 86_400_000 });
      const own = shifted.admin();
      const data = () => stored('a', own);
      const before = await own.time();
      await publish(broker, 0);
      const dropped = loss === 'replies are lost' ? 'dropDown' : 'dropUp';
      between[dropped] = true;
      const calls = publishAll(broker, 1, 200);
      if (loss === 'replies are lost') await until(async () => (await data()).length === 200);
      shifted.setClock(step);
      await until(async () => Math.abs(Number((await own.time())[0]) - Number(before[0])) > 3_000);
      between.cut();
      between[dropped] = false;
      const ids = await calls;
      expect(await data()).toEqual(numbers(200));
      expect(ids).toEqual((await entries('a', own)).slice(1));
      own.disconnect();
      between.close();
    },
  );
});

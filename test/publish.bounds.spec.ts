import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { RedisConnection } from '../src/broker/redis/connection.js';
import { RedisScript } from '../src/broker/redis/script.js';
import { PUBLISH } from '../src/broker/redis/scripts.js';
import { freePort } from './support/port.js';
import { numbers, publishing } from './support/publishing.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { within } from './support/until.js';

/** The memory of a publisher and of Redis is bounded. */
describe('The bounds of publishing to Redis', () => {
  const { redis, create, start, publish, publishAll } = publishing();

  it('accepts a bounded number and size of publications while Redis is unreachable, and rejects them in time', async () => {
    const broker = create(`redis://127.0.0.1:${await freePort()}`);
    const data = 'x'.repeat(90_000);
    const calls: Promise<string>[] = [];
    for (let n = 0; n < 745; n++) calls.push(publish(broker, data));
    await expect(publish(broker, data)).rejects.toMatchObject({
      message: expect.stringContaining('await publish()'),
    });
    const results = await within(5_000, 'all rejections', Promise.allSettled(calls));
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    for (let n = 0; n < 100_000; n++) publish(broker, n).catch(() => undefined);
    await expect(publish(broker, 1)).rejects.toMatchObject({
      message: expect.stringContaining('await publish()'),
    });
  });

  it('keeps a bounded number of the publishers of a channel, including the newest', async () => {
    const script = new RedisScript(PUBLISH);
    // This user has the documented rights.
    const [user, prefix] = [new Redis(redisUrl()), randomPrefix()];
    const route = { connection: { client: user } as RedisConnection };
    const keys = ['history', 'meta'].map((name) => `${prefix}{a}:${name}`);
    const publishers = numbers(200).map((n) => `${n}`.padEnd(8, '-'));
    const publishAs = (publisher: string, number: number) => {
      const nonce = `${publisher}${number.toString(36)}`;
      const args = [`${prefix}a`, '{"data":1}', '', nonce, 1, '', '', 'PUBLISH', number, ''];
      return script.run(route, keys, args);
    };
    const [steady, ...others] = publishers as [string, ...string[]];
    for (const [number, publisher] of others.entries()) {
      await publishAs(steady, number);
      await publishAs(publisher, 0);
    }
    await expect(publishAs(steady, others.length - 1)).rejects.toThrow('REPEATED');
    const marks = (await user.hkeys(keys[1]!)).filter((field) => field.startsWith('@'));
    expect(marks.length).toBeLessThan(65);
    expect(marks.slice(-2)).toEqual([`@${steady}`, `@${others.at(-1)}`]);
    expect(marks.length).toBeGreaterThan(31);
    user.disconnect();
  });

  it('trims a bounded part of a long history with each event, down to the configured length', async () => {
    const broker = await start(redis.server.url, { maxEvents: 1_000_000 });
    const fill = `for n = 1, 100000 do redis.call('XADD', KEYS[1], '1000000000-' .. n, '1', '1000000000-0 x {"data":1}') end`;
    await redis.admin.eval(fill, 1, 'sse:{a}:history');
    await publish(broker, 'first');
    const shorter = await start(redis.server.url, { maxEvents: 10 });
    await publish(shorter, 'second');
    const left = await redis.admin.xlen('sse:{a}:history');
    expect(left).toBeGreaterThan(60_000);
    expect(left).toBeLessThan(95_000);
    await publishAll(shorter, 0, 20);
    expect(await redis.admin.xlen('sse:{a}:history')).toBeLessThan(120);
  });

  it('keeps the history length of the application when a publisher without this setting publishes', async () => {
    const application = await start(redis.server.url, { maxEvents: 5_000 });
    const commandLine = create(redis.server.url);
    // A publication has 5 s, and all of them at once take longer on a busy machine.
    const publishSome = async (broker: typeof application, count: number, channel?: string) => {
      for (let n = 0; n < count; n += 200) await publishAll(broker, n, n + 200, channel);
    };
    await publishSome(application, 5_000);
    await publish(commandLine, 'from a shell');
    expect(await redis.admin.xlen('sse:{a}:history')).toBeGreaterThanOrEqual(5_000);
    await publishSome(commandLine, 1_200, 'b');
    expect(await redis.admin.xlen('sse:{b}:history')).toBeGreaterThanOrEqual(1_000);
    expect(await redis.admin.xlen('sse:{b}:history')).toBeLessThanOrEqual(1_100);
    await application.read('b', [], 0);
    await publishSome(commandLine, 3_000, 'b');
    expect(await redis.admin.xlen('sse:{b}:history')).toBeGreaterThanOrEqual(4_000);
  });
});

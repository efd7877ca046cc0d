import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { SseEvent } from 'nestjs-sse-channels';
import { commandLine } from './support/command-line.js';
import { startRedis } from './support/redis.js';
import { until } from './support/until.js';

describe('The command `sse subscribe`', () => {
  const { env, run, subscribe, receive } = commandLine();
  const isSubscribed = async (url: string, channel: string) => {
    const admin = new Redis(url, { maxRetriesPerRequest: 500 }).on('error', () => undefined);
    await until(async () => Number((await admin.pubsub('NUMSUB', channel))[1]) > 0);
    await until(async () => (await admin.keys('*:meta')).length > 0);
    admin.disconnect();
  };

  it.each(['SIGINT', 'SIGTERM'] as const)('exits with 0 on %s', async (signal) => {
    const subscriber = await subscribe('');
    subscriber.process.kill(signal);
    expect(await subscriber.end()).toBe(0);
    expect(subscriber.stderr).toBe('');
  });

  it('exits on SIGINT although its stdout is not read', async () => {
    const subscriber = await subscribe('');
    subscriber.process.stdout!.pause();
    for (let n = 0; n < 5; n++) await run('sse publish --text', 'x'.repeat(250_000));
    subscriber.process.kill('SIGINT');
    await until(() => subscriber.process.exitCode === 0);
  });

  it('exits with 0 when its stdout is closed', async () => {
    const subscriber = await subscribe('');
    await run('sse publish', '1');
    await until(() => subscriber.stdout !== '');
    subscriber.process.stdout!.destroy();
    await once(subscriber.process.stdout!, 'close');
    await until(async () => (await run('sse publish', '2'), subscriber.process.exitCode === 0));
    expect(subscriber.stderr).toBe('');
  });

  it('reconnects by itself after an outage of Redis, and prints both', async () => {
    const redis = await startRedis();
    const subscriber = await subscribe('--channel news', redis.url);
    const admin = redis.admin();
    await admin.publish(`${env.SSE_PREFIX}news`, '{"data":"before"}');
    // The subscriber knows the position of the channel.
    await until(() => subscriber.stdout.includes('data: before'));
    admin.disconnect();
    await redis.kill();
    await until(() => subscriber.stderr.includes('Redis is unreachable'));
    await redis.start();
    await until(() => subscriber.stderr.includes('Redis is back'));
    await isSubscribed(redis.url, `${env.SSE_PREFIX}news`);
    const published = await run('sse publish --channel news', '"after"', { SSE_REDIS_URL: redis.url });
    await until(() => subscriber.stdout.includes('data: after'));
    expect(subscriber.stdout.match(/event: sse.reset/g)).toHaveLength(1);
    expect(published.code).toBe(0);
  });

  it('resumes after an event: prints the events published since, then live ones', async () => {
    const [first, , last] = (await run('sse publish --ndjson', '1\n2\n3\n')).stdout.split('\n');
    const replayed = await run(`sse subscribe --last-event-id ${first} --count 2 --json`, '');
    expect(replayed.code).toBe(0);
    expect(
      replayed.stdout
        .split('\n')
        .slice(0, 2)
        .map((line) => (JSON.parse(line) as SseEvent).data),
    ).toEqual([2, 3]);
    const subscriber = await receive(`--last-event-id ${last} --count 1 --json`);
    await run('sse publish', '"next"');
    expect(await subscriber.end()).toMatchObject([{ data: 'next' }]);
  });
});

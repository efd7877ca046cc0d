import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { compareCursors } from '../src/event/event.js';
import { Cli } from './support/cli.js';
import { numbers, publishing } from './support/publishing.js';
import { until, within } from './support/until.js';

/** Redis hangs or is unreachable, or the publishing process is suspended. */
describe('Publishing to Redis during an outage', () => {
  const { redis, start, publish, publishAll, entries, stored } = publishing();

  it('stores each event once when Redis hangs for a while', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.server.signal('SIGSTOP');
    const ids = publishAll(broker, 1, 100);
    setTimeout(() => redis.server.signal('SIGCONT'), 3_300);
    expect((await ids).toSorted(compareCursors)).toEqual((await entries()).slice(1));
    expect(await stored()).toEqual(numbers(100));
  });

  it('stores each event once and in order if the publishing process is suspended while replies are pending', async () => {
    const cli = new Cli('sse publish --ndjson --channel a', { SSE_REDIS_URL: redis.proxy.url });
    cli.process.stdin!.write('0\n');
    await until(() => cli.lines.length === 1);
    redis.proxy.dropDown = true;
    const lines = numbers(201).slice(1);
    cli.process.stdin!.end(lines.map((n) => `${n}\n`).join(''));
    await until(async () => (await entries()).length === 201);
    cli.process.kill('SIGSTOP');
    // Longer than a publication may take; but the time of a suspension does not count.
    await sleep(5_500);
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    cli.process.kill('SIGCONT');
    expect(await cli.end()).toBe(0);
    const broker = await start();
    await publish(broker, 'last');
    expect(await stored()).toEqual([...numbers(201), 'last']);
    const ids = await entries();
    expect(ids.slice(0, -1)).toEqual(cli.lines);
  });

  it('reports that an event may be published if the history has expired since', async () => {
    const broker = await start(redis.proxy.url, { maxAgeMs: 1_000 });
    await publish(broker, 0);
    redis.proxy.dropDown = true;
    const rejected = expect(publish(broker, 1)).rejects.toMatchObject({ mayBePublished: true });
    await until(async () => (await entries()).length === 2);
    redis.proxy.refuse = true;
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    await until(async () => (await redis.admin.exists('sse:{a}:history')) === 0);
    redis.proxy.refuse = false;
    await rejected;
  });

  it('reports that an event may be published if Redis can no longer find it', async () => {
    const broker = await start(redis.proxy.url, { maxEvents: 1 });
    const other = await start(redis.server.url, { maxEvents: 1 });
    await publish(broker, 0);
    let lost = false;
    redis.proxy.onUp = (chunk) => {
      if (lost || !chunk.toString('latin1').includes('"data":"lost"')) return;
      lost = true;
      redis.proxy.dropDown = true;
    };
    const rejected = expect(publish(broker, 'lost')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: true,
    });
    await until(async () => (await stored()).includes('lost'));
    // The history no longer reaches back to the lost event.
    await publishAll(other, 0, 500);
    redis.proxy.onUp = () => undefined;
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    await rejected;
  });

  it('reports that an event may be published when Redis hangs for too long', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.server.signal('SIGSTOP');
    const calls = [publish(broker, 1), publish(broker, 'now', { transient: true })];
    for (const call of calls) {
      const rejected = expect(call).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: true });
      await within(5_000, 'the rejection', rejected);
    }
    redis.server.signal('SIGCONT');
    await until(() => broker.connected);
    await publish(broker, 2);
    const data = await stored();
    expect([
      [0, 2],
      [0, 1, 2],
    ]).toContainEqual(data);
  });
});

import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { compareCursors } from '../src/event/event.js';
import { moduleOnRedis } from './support/module-on-redis.js';
import { until } from './support/until.js';

/** Redis refuses commands: of the wrong type, of an unknown script, or without the right. */
describe('With a Redis that refuses commands', () => {
  const { redis, start, collect, subscribers, subscribed, arrivesAgain } = moduleOnRedis();

  it('reports a publication that Redis refuses as certainly not published', async () => {
    const sse = await start();
    await redis.admin.set('sse:{sse}:meta', 'not a hash');
    await expect(sse.publish('refused')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
      message: expect.stringContaining('WRONGTYPE'),
    });
  });

  it('keeps the order of the calls across SCRIPT FLUSH', async () => {
    const sse = await start();
    const data = 'x'.repeat(50_000);
    for (let round = 0; round < 5; round++) {
      const ids: Promise<string>[] = [];
      await redis.admin.script('FLUSH');
      for (let n = 0; n < 20; n++) {
        ids.push(sse.publish(data));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const published = await Promise.all(ids);
      expect(published).toEqual(published.toSorted(compareCursors));
    }
  });

  it('rolls back an event that Redis refuses to send, so that a retry with the same key sends it', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all', 'resetchannels', '&sse:a');
    const sse = await start(redis.server.url.replace('//', '//app:secret@'));
    const listener = collect(await start());
    await subscribed('sse', 1);
    const before = await redis.admin.hget('sse:{sse}:meta', 'cursor');
    const options = { id: 'own', idempotencyKey: 'k' };
    await expect(sse.publish(1, options)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
    });
    expect(await redis.admin.hget('sse:{sse}:meta', 'cursor')).toBe(before);
    expect(await redis.admin.exists('sse:{sse}:ids')).toBe(0);
    await redis.admin.acl('SETUSER', 'app', '&sse:sse');
    await sse.publish(2, options);
    await until(() => listener.length === 1);
    expect(listener).toMatchObject([{ data: 2 }]);
  });

  it('logs once why channels deliver nothing while Redis refuses their positions', async () => {
    const channels = ['sse', ...Array.from({ length: 20 }, (_, n) => `other${n}`)];
    for (const channel of channels) await redis.admin.set(`sse:{${channel}}:meta`, 'not a hash');
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const sse = await start();
    const events = collect(sse);
    const others = channels.slice(1).map((channel) => sse.messages(channel).subscribe());
    await until(() => logged.mock.calls.length > 0);
    await until(
      async () =>
        Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.admin.info('commandstats'))?.[1]) >= 60,
    );
    for (const other of others) other.unsubscribe();
    expect(logged.mock.calls).toEqual([
      [expect.stringMatching(/^Channel \w+ delivers nothing until .*WRONGTYPE/)],
    ]);
    logged.mockRestore();
    await redis.admin.del('sse:{sse}:meta');
    await arrivesAgain(sse, events);
  });

  it('subscribes to the other channels while Redis refuses one, and to that one once Redis allows it', async () => {
    await redis.admin.acl(
      'SETUSER',
      'app',
      'on',
      '>secret',
      '~*',
      '+@all',
      'resetchannels',
      '&sse:a',
      '&sse:b',
    );
    const sse = await start(redis.server.url.replace('//', '//app:secret@'));
    const [a, forbidden, b] = [collect(sse, 'a'), collect(sse, 'no'), collect(sse, 'b')];
    await until(async () => (await subscribers('a')) + (await subscribers('b')) === 2);
    await sse.publish(1, { channel: 'a' });
    await sse.publish(2, { channel: 'b' });
    await until(() => a.length === 1 && b.length === 1);
    await redis.admin.acl('SETUSER', 'app', '&sse:no');
    await subscribed('no', 1);
    await sse.publish(3, { channel: 'no' });
    await until(() => forbidden.length === 1);
  });

  it('logs once that Redis forbids reading disconnections, and opens connections once Redis allows it', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~sse:{sse}:*', '+@all', 'allchannels');
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const sse = await start(redis.server.url.replace('//', '//app:secret@'));
    const events = collect(sse);
    await until(() => logged.mock.calls.some(([line]) => /disconnections cannot be read/.test(String(line))));
    await redis.admin.acl('SETUSER', 'app', '~sse:{!disconnect}:*');
    await arrivesAgain(sse, events);
    const lines = logged.mock.calls.filter(([line]) => /disconnections cannot be read/.test(String(line)));
    expect(lines).toHaveLength(1);
    logged.mockRestore();
  });
});

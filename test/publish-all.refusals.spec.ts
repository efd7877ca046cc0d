import { describe, expect, it } from '@jest/globals';
import { numbers, publishing, publishList } from './support/publishing.js';
import { until } from './support/until.js';

const LIST = [{ data: 1 }, { data: 2, id: 'own', idempotencyKey: 'k' }, { data: 3 }];

/** Redis refuses the script as a whole, or from one of its commands on. */
describe('A list of events that Redis refuses', () => {
  const { redis, create, start, publish, entries, stored } = publishing();
  it.each(['publish', 'pexpire', 'xtrim', 'set'])(
    'is undone if the Redis user may not run %s',
    async (name) => {
      await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', `-${name}`);
      const texts: string[] = [];
      const listener = { onSubscribed: () => texts.push('subscribed'), onInterrupted: () => undefined };
      const other = await start(redis.server.url);
      other.subscribe('a', { ...listener, onMessage: (text) => texts.push(text) });
      await until(() => texts.length === 1);
      await publish(other, 0);
      await redis.admin.persist('sse:{a}:history');
      const before = [await entries(), await redis.admin.hget('sse:{a}:meta', 'cursor')];
      const broker = create(redis.server.url.replace('//', '//app:secret@'));
      await until(() => broker.connected);
      if (name === 'pexpire') await redis.admin.pexpire('sse:{a}:history', 1_000);
      const [first, ...rest] = await publishList(broker, LIST);
      expect(first).toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: false });
      expect(rest).toEqual([first, first]);
      expect([await entries(), await redis.admin.hget('sse:{a}:meta', 'cursor')]).toEqual(before);
      expect(await redis.admin.exists('sse:{a}:idempotency:k')).toBe(0);
      expect(await redis.admin.hlen('sse:{a}:ids')).toBe(0);
      await redis.admin.acl('SETUSER', 'app', `+${name}`);
      const ids = await publishList(broker, LIST);
      await until(() => texts.length === 5);
      expect(await stored()).toEqual([0, 1, 2, 3]);
      expect([ids[0], ids[2]]).toEqual([(await entries())[1], (await entries())[3]]);
    },
  );

  it('is not stored without memory, and then in order', async () => {
    const broker = await start();
    await publish(broker, 0);
    const before = [await entries(), await redis.admin.hgetall('sse:{a}:meta')];
    await redis.admin.config('SET', 'maxmemory', '1mb');
    const calls = [publishList(broker, LIST), publish(broker, 4)];
    await until(async () => (await redis.admin.info('errorstats')).includes('OOM'));
    expect([await entries(), await redis.admin.hgetall('sse:{a}:meta')]).toEqual(before);
    await redis.admin.config('SET', 'maxmemory', '0');
    await Promise.all(calls);
    expect(await stored()).toEqual([0, 1, 2, 3, 4]);
  });

  it('keeps no idempotency key if PUBLISH is forbidden and history is off', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const broker = create(redis.server.url.replace('//', '//app:secret@'), false);
    const [first] = await publishList(broker, LIST.toReversed().slice(1));
    expect(first).toMatchObject({ mayBePublished: false });
    expect(await redis.admin.keys('*')).toEqual([]);
    await redis.admin.acl('SETUSER', 'app', 'allchannels');
    expect(await publishList(broker, LIST)).toEqual(['', 'own', '']);
  });

  it('is stored before the later ones of its channel, even if Redis has refused only the first', async () => {
    const [broker, other] = [await start(), await start(redis.server.url)];
    await publishList(broker, [{ data: 0 }]);
    await redis.admin.script('FLUSH');
    redis.proxy.holdDown = true;
    const refused = publishList(broker, [{ data: 'refused' }, { data: 'too' }]);
    await until(async () => (await redis.admin.info('errorstats')).includes('NOSCRIPT'));
    await publishList(other, [{ data: 'loads the script' }]);
    const later = publishList(broker, [{ data: 'later' }]);
    await until(async () => (await redis.admin.info('errorstats')).includes('UNORDERED'));
    redis.proxy.holdDown = false;
    await Promise.all([refused, later]);
    expect(await stored()).toEqual([0, 'loads the script', 'refused', 'too', 'later']);
  });

  it('loads its script again after Redis has flushed it, and keeps the order', async () => {
    const broker = await start();
    await publishList(broker, LIST.slice(0, 1));
    await redis.admin.script('FLUSH');
    const calls = [
      publishList(broker, [{ data: 2 }]),
      publish(broker, 3),
      publishList(broker, [{ data: 4 }]),
    ];
    await Promise.all(calls);
    expect(await stored()).toEqual(numbers(5).slice(1));
  });
});

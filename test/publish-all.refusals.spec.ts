import { describe, expect, it } from '@jest/globals';
import { type SseError, SseStreams } from 'nestjs-sse-channels';
import { listOf, numbers, publishing, publishList } from './support/publishing.js';
import { moduleOf, startService } from './support/typed-channels.js';
import { until } from './support/until.js';

const LIST = [{ data: 1 }, { data: 2, id: 'own', idempotencyKey: 'k' }, { data: 3 }];

/** A value in what Redis gives as a list of names and values. */
const valueOf = (list: unknown, name: string) => (list as unknown[])[(list as unknown[]).indexOf(name) + 1];

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
      const before = [await entries(), await redis.admin.hgetall('sse:{a}:meta')];
      const broker = create(redis.server.url.replace('//', '//app:secret@'));
      await until(() => broker.connected);
      if (name === 'pexpire') await redis.admin.pexpire('sse:{a}:history', 1_000);
      const [first, ...rest] = await publishList(broker, LIST);
      expect(first).toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: false });
      expect(rest).toEqual([first, first]);
      expect([await entries(), await redis.admin.hgetall('sse:{a}:meta')]).toEqual(before);
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

  it('leaves nothing behind in a channel that knows its publisher and has older ids', async () => {
    await redis.admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all');
    const url = redis.server.url.replace('//', '//app:secret@');
    const broker = await start(url, { maxEvents: 10 });
    const owned = (from: number, to: number) =>
      listOf(from, to).map((event) => ({ ...event, id: `own${String(event.data)}` }));
    await publishList(broker, owned(0, 8));
    const content = async () => ({
      history: await redis.admin.xinfo('STREAM', 'sse:{a}:history'),
      meta: await redis.admin.hgetall('sse:{a}:meta'),
      ids: Object.keys({
        ...(await redis.admin.hgetall('sse:{a}:ids')),
        ...(await redis.admin.hgetall('sse:{a}:ids:old')),
      }),
    });
    const before = await content();
    await redis.admin.acl('SETUSER', 'app', '-publish');
    const [refused] = await publishList(broker, owned(8, 16));
    expect(refused).toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: false });
    const { history, ...others } = await content();
    expect(others).toEqual({ meta: before.meta, ids: before.ids });
    expect(valueOf(history, 'last-generated-id')).toBe(valueOf(before.history, 'last-generated-id'));
    await redis.admin.acl('SETUSER', 'app', '+publish');
    await publishList(broker, owned(8, 16));
    expect(await stored()).toEqual(numbers(16));
  });

  it('sends nothing without memory for its keys if history is off, and then each event once', async () => {
    const broker = create(redis.server.url, false);
    const data: unknown[] = [];
    const subscriber = redis.server.admin();
    await subscriber.subscribe('sse:a');
    subscriber.on('message', (_, text: string) => data.push((JSON.parse(text) as { data: unknown }).data));
    await publish(broker, 0);
    await redis.admin.config('SET', 'maxmemory', '1');
    const call = publishList(broker, [...listOf(1, 3), { data: 3, idempotencyKey: 'k' }]);
    await until(async () => /errorstat_OOM:count=[^01]/.test(await redis.admin.info('errorstats')));
    await redis.admin.config('SET', 'maxmemory', '0');
    expect(await call).toEqual(['', '', '']);
    await publish(broker, 4);
    await until(() => data.includes(4));
    subscriber.disconnect();
    expect(data).toEqual(numbers(5));
  });

  it('is unavailable if any channel is, also where another one is a stream', async () => {
    const sse = await startService({ redis: redis.server.url });
    const writer = await moduleOf(sse).get(SseStreams).open('stream');
    // The script cannot read it.
    await redis.admin.set('sse:{b}:meta', 'text');
    const events = ['stream', 'b', 'a'].map((channel) => ({ channel, data: 1 }));
    const error = (await sse.publishAll(events).catch((cause: unknown) => cause)) as SseError;
    expect(error.outcomes.map(({ status, error: each }) => each?.code ?? status)).toEqual([
      'SSE_INPUT',
      'SSE_UNAVAILABLE',
      'published',
    ]);
    expect(error).toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: true });
    expect(error.message).toMatch(/^Published 1 of 3 events: Redis refused: WRONGTYPE/);
    await writer.end();
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
    // Single events would take another script.
    await publishList(broker, listOf(0, 2));
    await redis.admin.script('FLUSH');
    redis.proxy.holdDown = true;
    const refused = publishList(broker, [{ data: 'refused' }, { data: 'too' }]);
    await until(async () => (await redis.admin.info('errorstats')).includes('NOSCRIPT'));
    await publishList(other, [{ data: 'loads' }, { data: 'the script' }]);
    const later = publishList(broker, [{ data: 'later' }, { data: 'last' }]);
    await until(async () => (await redis.admin.info('errorstats')).includes('UNORDERED'));
    redis.proxy.holdDown = false;
    await Promise.all([refused, later]);
    expect(await stored()).toEqual([0, 1, 'loads', 'the script', 'refused', 'too', 'later', 'last']);
  });

  it('loads its script again after Redis has flushed it, and keeps the order', async () => {
    const broker = await start();
    await publishList(broker, listOf(0, 2));
    await redis.admin.script('FLUSH');
    const calls = [publishList(broker, listOf(2, 4)), publish(broker, 4), publishList(broker, listOf(5, 7))];
    await Promise.all(calls);
    expect(await stored()).toEqual(numbers(7));
  });
});

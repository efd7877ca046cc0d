import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { startRedis } from './support/redis.js';
import { startNode } from './support/streams-app.js';
import { until } from './support/until.js';

describe.each(platforms)('A stream whose events have expired before its state, on %s', (_, platform) => {
  it.each(['done', 'lost'])('answers as one that was never started, if it is %s', async (status) => {
    const redis = await startRedis();
    const { streams, url } = await startNode(platform, { redis: redis.url });
    const out = await streams.open('a', { leaseMs: 1_000 });
    const { lastEventId: generation } = await streams.status('a');
    out.write('event');
    if (status === 'done') await out.end();
    await until(async () => (await streams.status('a')).lastEventId !== generation);
    const { lastEventId } = await streams.status('a');

    const admin = redis.admin();
    // As a node of the release before streams leaves it, and without the renewals of an owner.
    if (status === 'lost') await admin.hset('sse:{a}:meta', 'owner', 'gone', 'lease', '1');
    await admin.persist('sse:{a}:meta');
    await admin.del('sse:{a}:history');
    admin.disconnect();

    expect(await streams.status('a')).toEqual({ state: 'missing' });
    expect(await streams.abort('a')).toBe('missing');
    expect((await connect(`${url}/streams/a`)).status).toBe(204);
    const old = await connect(`${url}/streams/a?lastEventId=${lastEventId!.replace(/\d$/, '')}`);
    await until(() => old.ended);
    expect(old.events.map(({ event, data }) => [event, data])).toEqual([
      ['sse.reset', '{"channel":"a","reason":"lost"}'],
      ['sse.end', '{"status":"lost","reason":"expired"}'],
    ]);

    const again = await streams.open('a');
    again.write('new');
    await again.end();
    const reader = await connect(`${url}/streams/a`);
    await until(() => reader.ended);
    expect(reader.events.map(({ data }) => data)).toEqual(['{"channel":"a"}', 'new', '{"status":"done"}']);
  });
});

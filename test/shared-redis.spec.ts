import { describe, expect, it } from '@jest/globals';
import { type SseEvent, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

const CHANNELS = 30;

/** Pub/Sub channels are shared by all databases, and different prefixes can give the same name. */
describe.each([
  ['the same prefix in another database', { db: 1, prefix: '', channel: 'x' }],
  ['a prefix that goes on with the name of a channel', { db: 0, prefix: 'eu:', channel: 'eu:x' }],
])('An application that shares a Redis with one of %s', (_, { db, prefix, channel }) => {
  it('starts no channel with the events of the other application', async () => {
    const own = randomPrefix();
    const start = async (database: number, at: string) => {
      const url = new URL(redisUrl());
      url.pathname = `/${database}`;
      const imports = [SseModule.forRoot({ redis: url.href, prefix: at })];
      const { app } = await startApp(platforms[0][1], { imports });
      return app.get(SseService);
    };
    const [one, other] = [await start(0, own), await start(db, own + prefix)];
    const names = Array.from({ length: CHANNELS }, (__, n) => `${channel}${n}`);
    const busy = new AbortController();
    const publishing = names.map(async (name) => {
      while (!busy.signal.aborted) await other.publish('theirs', { channel: name.replace(prefix, '') });
    });
    const received = new Map<string, SseEvent[]>();
    for (const name of names) {
      const events: SseEvent[] = [];
      received.set(name, events);
      one.messages(name).subscribe((event) => events.push(event));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const live = async () => {
      for (const name of names) await one.publish('ours', { channel: name });
      return names.every((name) => received.get(name)!.some(({ data }) => data === 'ours'));
    };
    await until(live);
    busy.abort();
    await Promise.all(publishing);
    const all = [...received.values()].flat();
    expect(new Set(all.map(({ data }) => data))).toEqual(new Set(['ours']));
  });
});

import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { type SseEvent, SseGrant, SseModule, SseService } from 'nestjs-sse-channels';
import { brokerOptions } from './support/broker-options.js';
import { compileModule } from './support/nest-module.js';
import { adminUrl, randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

describe.each(brokerOptions)('The position of a channel %s', (_, options) => {
  const start = async () =>
    (await compileModule({ imports: [SseModule.forRoot(options())] })).get(SseService);
  /** What a client gets that resumes after an id. */
  const after = async (sse: SseService, lastEventId: string, channel: string | string[] = 'a') => {
    const events: SseEvent[] = [];
    const subscription = sse.messages(channel, { lastEventId }).subscribe((event) => events.push(event));
    const channels = [channel].flat();
    for (const each of channels) await sse.publish('end', { channel: each });
    await until(() => events.filter(({ data }) => data === 'end').length >= channels.length);
    subscription.unsubscribe();
    return events.map(({ type, data }) => type ?? data).filter((data) => data !== 'end');
  };

  it('is after all earlier events and before all later ones, and needs no connection', async () => {
    const sse = await start();
    await sse.publish('before', { channel: 'a' });
    const position = await sse.position('a');
    await sse.publish('after', { channel: 'a' });
    expect(sse.stats()).toMatchObject({ connections: 0, channels: 0 });
    expect(await after(sse, position)).toEqual(['after']);
  });

  it('is one id for several channels, each once, in any order', async () => {
    const sse = await start();
    await sse.publish('before', { channel: 'b' });
    const position = await sse.position(['a', 'b', 'a']);
    for (const channel of ['a', 'b']) await sse.publish(channel, { channel });
    const events = await after(sse, position, ['b', 'a']);
    expect(events.toSorted()).toEqual(['a', 'b']);
    // A part of it is valid for a connection to that channel alone.
    expect(await after(sse, position, 'a')).toEqual(['a']);
  });

  it('exists before the first event', async () => {
    const sse = await start();
    const position = await sse.position('a');
    expect(await sse.position('a')).toBe(position);
    await sse.publish('first', { channel: 'a' });
    expect(await after(sse, position)).toEqual(['first']);
  });

  it('is that of the granted channels', async () => {
    const sse = await start();
    const position = await sse.position(new SseGrant({ channels: ['a', 'b'] }));
    expect(position).toBe(await sse.position(['a', 'b']));
  });

  it.each([undefined, '', 'a b', [], [undefined]])('is refused for %j', async (channel) => {
    const sse = await start();
    await expect(sse.position(channel as string)).rejects.toMatchObject({ code: 'SSE_INPUT' });
  });

  it('does not exist without history', async () => {
    const module = await compileModule({ imports: [SseModule.forRoot({ ...options(), history: false })] });
    await expect(module.get(SseService).position('a')).rejects.toMatchObject({ code: 'SSE_OPTIONS' });
  });
});

describe('The position of a channel in Redis', () => {
  it('is kept for 10 minutes if the channel has no events', async () => {
    const prefix = randomPrefix();
    const imports = [SseModule.forRoot({ redis: redisUrl(), prefix })];
    await (await compileModule({ imports })).get(SseService).position('a');
    const admin = new Redis(adminUrl());
    expect(await admin.keys(`${prefix}*`)).toEqual([`${prefix}{a}:meta`]);
    const seconds = await admin.ttl(`${prefix}{a}:meta`);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(600);
    admin.disconnect();
  });

  it('is unavailable if Redis is unreachable', async () => {
    const module = await compileModule({ imports: [SseModule.forRoot({ redis: 'redis://127.0.0.1:1' })] });
    await expect(module.get(SseService).position('a')).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
  });
});

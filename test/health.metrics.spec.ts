import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { Proxy } from './support/proxy.js';
import { startRedis } from './support/redis.js';
import { ChannelController } from './support/channel.controller.js';
import { until } from './support/until.js';

const proxies: Proxy[] = [];
afterEach(() => {
  for (const proxy of proxies.splice(0)) proxy.close();
});

const start = async (options: SseModuleOptions) => {
  const metadata = { imports: [SseModule.forRoot(options)], controllers: [ChannelController] };
  const { app, url } = await startApp(platforms[0][1], metadata);
  return { app, url, sse: app.get(SseService) };
};

describe('Metrics', () => {
  it('count events that were published, delivered, replayed, reset, and lost in transit', async () => {
    const server = await startRedis();
    const proxy = await Proxy.start(server.port);
    proxies.push(proxy);
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const outcomes: string[] = [];
    const metrics = {
      start: () => () => undefined,
      publication: (_ms: number, outcome: string) => outcomes.push(outcome),
    };
    const { url, sse } = await start({ redis: proxy.url, history: { maxReplayEvents: 3 }, metrics });
    const [one, two] = [await connect(`${url}/channel`), await connect(`${url}/sse`)];
    const cursor = (await one.next()).id!;
    await until(() => sse.stats().connections === 2);
    for (let n = 0; n < 3; n++) await sse.publish(n);
    await two.take(3);
    const back = await connect(`${url}/channel`, { 'last-event-id': cursor });
    await back.take(3);
    for (const id of ['unknown', '1600000000000-7']) {
      const reset = await connect(`${url}/channel`, { 'last-event-id': id });
      expect((await reset.next()).event).toBe('sse.reset');
      reset.close();
    }
    await until(() => sse.stats().connections === 3);
    expect(sse.stats()).toMatchObject({
      published: 3,
      rejected: 0,
      delivered: 9,
      replayed: 3,
      resets: { unknown: 1, lost: 1, limit: 0 },
      gaps: 0,
    });
    // An interruption without a missed event is no gap.
    proxy.cut();
    await until(() => !sse.stats().connected);
    await until(() => sse.stats().connected);
    // A connection opens once the node receives its channel again. An event published before that would be a gap.
    const begun = await connect(`${url}/channel`);
    await begun.next();
    begun.close();
    await until(() => sse.stats().connections === 3);
    await sse.publish('seen');
    await back.next();
    expect(sse.stats()).toMatchObject({ published: 4, delivered: 12, gaps: 0 });
    // A lost message: the next one reveals the gap.
    let lost = 1;
    proxy.dropMessage = () => lost-- > 0;
    await sse.publish('lost');
    await sse.publish('shows it');
    await back.take(2);
    expect(sse.stats()).toMatchObject({ published: 6, delivered: 18, gaps: 1 });
    // A gap of more than one history page.
    proxy.dropMessage = () => true;
    for (let n = 0; n < 250; n++) await sse.publish(n);
    proxy.dropMessage = undefined;
    await sse.publish('shows it');
    await back.take(251);
    expect(sse.stats()).toMatchObject({ published: 257, delivered: 18 + 3 * 251, gaps: 2 });
    const late = await connect(`${url}/channel`, { 'last-event-id': cursor });
    expect(await late.next()).toMatchObject({ event: 'sse.reset', data: expect.stringContaining('limit') });
    expect(sse.stats().resets).toEqual({ unknown: 1, lost: 1, limit: 1, failed: 0 });
    await expect(sse.publish(undefined)).rejects.toMatchObject({ code: 'SSE_INPUT' });
    expect(sse.stats()).toMatchObject({ published: 257, rejected: 0 });
    await server.kill();
    await expect(sse.publish('nowhere')).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    expect(sse.stats()).toMatchObject({ published: 257, rejected: 1, state: 'down' });
    expect(outcomes.slice(-2)).toEqual(['published', 'rejected']);
    await server.start();
  });

  it('do not keep an application from publishing if they fail', async () => {
    const failed = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    const metrics = {
      start: () => () => undefined,
      publication: () => {
        throw new Error('these metrics fail');
      },
    };
    const { sse } = await start({ metrics });
    expect(await sse.publish('one')).toMatch(/^\d+-\d+$/);
    expect(sse.stats()).toMatchObject({ published: 1, rejected: 0 });
    expect(failed.mock.calls).toEqual([[new Error('these metrics fail')]]);
    failed.mockRestore();
  });

  it('are passed to any object with the two methods of the interface', async () => {
    const answered: string[] = [];
    let stats: (() => object) | undefined;
    const metrics = {
      start: (read: () => object) => {
        stats = read;
        return () => answered.push('stopped');
      },
      publication: (ms: number, outcome: string) => answered.push(`${outcome} ${ms >= 0 && ms < 1_000}`),
    };
    const { app, sse } = await start({ metrics });
    await sse.publish('one');
    expect(stats!()).toMatchObject({ published: 1 });
    await app.close();
    expect(answered).toEqual(['published true', 'stopped']);
  });
});

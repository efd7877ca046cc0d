import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Logger, Sse } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { LastEventId, SseChannel, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { SseHealthIndicator } from 'nestjs-sse-channels/terminus';
import { Redis } from 'ioredis';
import { Gauge, type OpenMetricsContentType, openMetricsContentType, register, Registry } from 'prom-client';
import { SseBroker } from '../src/broker/broker.js';
import { RedisSseBroker } from '../src/broker/redis.broker.js';
import { platforms, startApp, terminate } from './support/app.js';
import { connect } from './support/client.js';
import { HealthModule } from './support/health.module.js';
import { Proxy } from './support/proxy.js';
import { startRedis } from './support/redis.js';
import { until } from './support/until.js';

@Controller()
class StreamController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channel')
  channel() {
    return 'sse';
  }

  @Sse('sse')
  stream(@LastEventId() lastEventId?: string) {
    return this.sse.messages('sse', { lastEventId });
  }
}

const proxies: Proxy[] = [];
afterEach(() => {
  for (const proxy of proxies.splice(0)) proxy.close();
});

describe.each(platforms)('On %s', (_, platform) => {
  const start = async (options: SseModuleOptions) => {
    const metadata = {
      imports: [SseModule.forRoot(options), HealthModule],
      controllers: [StreamController],
    };
    const { app, url } = await startApp(platform, metadata);
    const health = async () => {
      const response = await fetch(`${url}/health`);
      const { details } = (await response.json()) as { details: { sse: object } };
      return [response.status, details.sse];
    };
    return { app, url, health, sse: app.get(SseService) };
  };

  it('health is up with what there is, and down while Redis is out of reach', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const server = await startRedis();
    const { url, health, sse } = await start({ redis: server.url });
    const client = await connect(`${url}/channel`);
    await client.next();
    expect(await health()).toEqual([
      200,
      { status: 'up', redis: 'up', draining: false, streams: 1, channels: 1 },
    ]);
    await server.kill();
    await until(() => !sse.stats().connected);
    expect(await health()).toMatchObject([503, { status: 'down', redis: 'down' }]);
    await server.start();
    await until(async () => (await health())[0] === 200);
    expect(client.ended).toBe(false);
  });

  it('health is down while the application ends its streams', async () => {
    const { app, url, health } = await start({ drainMs: 600_000 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(`${url}/channel`)));
    const closing = terminate(app);
    await until(async () => (await health())[0] === 503);
    expect(await health()).toMatchObject([503, { status: 'down', redis: 'up', draining: true }]);
    for (const client of clients) client.close();
    await closing;
  });
});

describe('Health', () => {
  it('is set up as docs/production.md says', () => {
    const [, documented] = /```ts\n([^]*?)```/.exec(readFileSync('docs/production.md', 'utf8'))!;
    expect(documented).toBe(readFileSync('test/support/health.module.ts', 'utf8'));
  });

  it('is down while nothing arrives, although all connections are in good health', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const [server, elsewhere] = [await startRedis(), await startRedis()];
    const proxy = await Proxy.start(server.port);
    proxies.push(proxy);
    const broker = new RedisSseBroker(proxy.url, '', undefined, 100);
    const metadata = {
      imports: [SseModule.forRoot(), TerminusModule.forRoot({ logger: false })],
      providers: [SseHealthIndicator],
    };
    const { app } = await startApp(platforms[0][1], metadata, undefined, (builder) =>
      builder.overrideProvider(SseBroker).useValue(broker),
    );
    await until(() => broker.connected);
    proxy.target = elsewhere.port;
    app.get(SseService).messages().subscribe();
    const status = () => app.get(SseHealthIndicator).isHealthy('events');
    await until(
      () => status(),
      ({ events }) => events.status === 'down' && events.redis === 'deaf',
    );
    proxy.target = server.port;
    await until(
      () => status(),
      ({ events }) => events.status === 'up',
    );
  });
});

describe('Figures', () => {
  const start = async (options: SseModuleOptions) => {
    const { app, url } = await startApp(platforms[0][1], {
      imports: [SseModule.forRoot(options)],
      controllers: [StreamController],
    });
    return { app, url, sse: app.get(SseService) };
  };

  it('count what was published, delivered, replayed, reset, and lost on the way', async () => {
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
    await until(() => sse.stats().streams === 2);
    for (let n = 0; n < 3; n++) await sse.publish(n);
    await two.take(3);
    const back = await connect(`${url}/channel`, { 'last-event-id': cursor });
    await back.take(3);
    for (const id of ['unknown', '1600000000000-7']) {
      const reset = await connect(`${url}/channel`, { 'last-event-id': id });
      expect((await reset.next()).event).toBe('sse.reset');
      reset.close();
    }
    await until(() => sse.stats().streams === 3);
    expect(sse.stats()).toMatchObject({
      published: 3,
      rejected: 0,
      delivered: 9,
      replayed: 3,
      resets: { unknown: 1, lost: 1, limit: 0 },
      gaps: 0,
    });
    // What is interrupted, and has missed nothing, has no gap.
    proxy.cut();
    await until(() => !sse.stats().connected);
    await until(() => sse.stats().connected);
    // A stream begins as soon as its channel is received again: what is published before that is missed.
    const begun = await connect(`${url}/channel`);
    await begun.next();
    begun.close();
    await until(() => sse.stats().streams === 3);
    await sse.publish('seen');
    await back.next();
    expect(sse.stats()).toMatchObject({ published: 4, delivered: 12, gaps: 0 });
    // One that no message tells of: the next one does.
    let lost = 1;
    proxy.dropMessage = () => lost-- > 0;
    await sse.publish('lost');
    await sse.publish('shows it');
    await back.take(2);
    expect(sse.stats()).toMatchObject({ published: 6, delivered: 18, gaps: 1 });
    // However much it is: more than a page of the history.
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

  it('are metrics of Prometheus, as they are when they are scraped, until the application has ended', async () => {
    const registry = new Registry();
    const metrics = new PrometheusMetrics({ registry });
    const { app, url, sse } = await start({ metrics });
    const client = await connect(`${url}/channel`);
    const { id } = await client.next();
    await sse.publish('one');
    await client.next();
    const again = await connect(`${url}/channel`, { 'last-event-id': id! });
    await again.next();
    const text = await registry.metrics();
    const values = [...text.matchAll(/^(sse_\w+(?:{[^}]*})?) (\S+)$/gm)]
      .filter(([, name]) => !name!.includes('_bucket'))
      .map(([, name, value]) => [name, Number(value)]);
    expect(Object.fromEntries(values)).toEqual({
      sse_connections: 2,
      sse_channels: 1,
      sse_draining: 0,
      'sse_redis_state{state="up"}': 1,
      'sse_redis_state{state="down"}': 0,
      'sse_redis_state{state="deaf"}': 0,
      sse_published_total: 1,
      sse_publish_rejected_total: 0,
      sse_delivered_total: 2,
      sse_replayed_total: 1,
      'sse_resets_total{reason="unknown"}': 0,
      'sse_resets_total{reason="lost"}': 0,
      'sse_resets_total{reason="limit"}': 0,
      'sse_resets_total{reason="failed"}': 0,
      sse_gaps_healed_total: 0,
      sse_dropped_total: 0,
      sse_cut_total: 0,
      sse_behind_total: 0,
      sse_refused_total: 0,
      'sse_publish_duration_seconds_count{outcome="published"}': 1,
      'sse_publish_duration_seconds_sum{outcome="published"}': expect.any(Number),
    });
    await sse.publish('two');
    expect(await registry.metrics()).toContain('sse_published_total 2\n');
    await app.close();
    expect(await registry.metrics()).toBe('\n');
  });

  it('go to the default registry of prom-client, under a prefix, also of one application after the other', async () => {
    for (let n = 0; n < 2; n++) {
      const { app } = await start({ metrics: new PrometheusMetrics({ prefix: 'shop_sse_' }) });
      expect(await register.metrics()).toContain('\nshop_sse_connections 0\n');
      await app.close();
    }
    expect(await register.metrics()).not.toContain('shop_sse_');
  });

  it('do not keep an application from publishing, where they go wrong', async () => {
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

  it('do not start where the registry has one of that name, which is left as it was', async () => {
    const registry = new Registry();
    registry.registerMetric(
      new Gauge({ name: 'sse_refused_total', help: 'Of the application', registers: [] }),
    );
    const { url } = await startRedis();
    const admin = new Redis(url);
    const starting = start({ redis: url, metrics: new PrometheusMetrics({ registry }) });
    await expect(starting).rejects.toThrow('a metric called sse_refused_total already');
    expect(registry.getMetricsAsArray()).toHaveLength(1);
    await until(async () => !String(await admin.client('LIST')).includes('name=sse:'));
    admin.disconnect();
    await start({ metrics: new PrometheusMetrics({ registry, prefix: 'other_' }) });
  });

  it('go to a registry of OpenMetrics, too', async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(openMetricsContentType);
    await start({ metrics: new PrometheusMetrics({ registry }) });
    expect(await registry.metrics()).toContain('sse_connections 0');
  });

  it('go where an interface of two methods leads', async () => {
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

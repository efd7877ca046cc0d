import { describe, expect, it } from '@jest/globals';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { Redis } from 'ioredis';
import { Gauge, type OpenMetricsContentType, openMetricsContentType, register, Registry } from 'prom-client';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { startRedis } from './support/redis.js';
import { ChannelController } from './support/channel.controller.js';
import { until } from './support/until.js';

const start = async (options: SseModuleOptions) => {
  const metadata = { imports: [SseModule.forRoot(options)], controllers: [ChannelController] };
  const { app, url } = await startApp(platforms[0][1], metadata);
  return { app, url, sse: app.get(SseService) };
};

describe('Prometheus metrics', () => {
  it('are current at each scrape, and leave the registry when the application closes', async () => {
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
      sse_slow_total: 0,
      sse_behind_total: 0,
      sse_refused_total: 0,
      sse_streams: 0,
      sse_streams_started_total: 0,
      'sse_streams_ended_total{status="done"}': 0,
      'sse_streams_ended_total{status="error"}': 0,
      'sse_streams_ended_total{status="aborted"}': 0,
      'sse_streams_ended_total{status="lost"}': 0,
      'sse_publish_duration_seconds_count{outcome="published"}': 1,
      'sse_publish_duration_seconds_sum{outcome="published"}': expect.any(Number),
    });
    await sse.publish('two');
    expect(await registry.metrics()).toContain('sse_published_total 2\n');
    await app.close();
    expect(await registry.metrics()).toBe('\n');
  });

  it('use the default registry of prom-client and a prefix, also for one application after another', async () => {
    for (let n = 0; n < 2; n++) {
      const { app } = await start({ metrics: new PrometheusMetrics({ prefix: 'shop_sse_' }) });
      expect(await register.metrics()).toContain('\nshop_sse_connections 0\n');
      await app.close();
    }
    expect(await register.metrics()).not.toContain('shop_sse_');
  });

  it('reject the start if the registry has a metric of the same name, and leave it unchanged', async () => {
    const registry = new Registry();
    registry.registerMetric(
      new Gauge({ name: 'sse_refused_total', help: 'Of the application', registers: [] }),
    );
    const { url } = await startRedis();
    const admin = new Redis(url);
    const starting = start({ redis: url, metrics: new PrometheusMetrics({ registry }) });
    await expect(starting).rejects.toThrow('already has a metric named sse_refused_total');
    expect(registry.getMetricsAsArray()).toHaveLength(1);
    await until(async () => !String(await admin.client('LIST')).includes('name=sse:'));
    admin.disconnect();
    await start({ metrics: new PrometheusMetrics({ registry, prefix: 'other_' }) });
  });

  it('also accept an OpenMetrics registry', async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(openMetricsContentType);
    await start({ metrics: new PrometheusMetrics({ registry }) });
    expect(await registry.metrics()).toContain('sse_connections 0');
  });
});

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Redis } from 'ioredis';
import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { Proxy } from './proxy.js';
import { type RedisServer, startRedis } from './redis.js';
import { until } from './until.js';

/** Gives each test a redis-server process, and applications on it. To be called within a `describe()`. */
export function moduleOnRedis() {
  const redis = {} as { server: RedisServer; admin: Redis };
  const contexts: INestApplicationContext[] = [];
  const proxies: Proxy[] = [];

  beforeEach(async () => {
    redis.server = await startRedis();
    redis.admin = redis.server.admin();
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    for (const proxy of proxies.splice(0)) proxy.close();
    redis.admin.disconnect();
  });

  const start = async (source: SseModuleOptions['redis'] = redis.server.url) => {
    const context = await NestFactory.createApplicationContext(SseModule.forRoot({ redis: source }), {
      logger: false,
    });
    contexts.push(context);
    return context.get(SseService);
  };
  /** Closes the application that was started last. */
  const closeLast = () => contexts.pop()!.close();
  const startProxy = async (port?: number) => {
    const proxy = await Proxy.start(redis.server.port, port);
    proxies.push(proxy);
    return proxy;
  };
  const behindProxy = async () => {
    const proxy = await startProxy();
    return { proxy, sse: await start(proxy.url) };
  };
  const collect = (sse: SseService, channel: string | string[] = 'sse') => {
    const events: SseEvent[] = [];
    sse.messages(channel).subscribe((event) => events.push(event));
    return events;
  };
  /** The number of subscriptions; 0 until the position of the channel is stored, as an earlier event may be too early for a subscriber. */
  const subscribers = async (channel: string, prefix = 'sse:') =>
    (await redis.admin.exists(`${prefix}{${channel}}:meta`)) *
    Number((await redis.admin.pubsub('NUMSUB', prefix + channel))[1]);
  const subscribed = (channel: string, expected: 0 | 1) =>
    until(
      () => subscribers(channel),
      (count) => count === expected,
    );
  /** Publishes until an event arrives, which shows that the module has resubscribed. */
  const arrivesAgain = (sse: SseService, events: SseEvent[]) => {
    const since = events.length;
    const sent = new Set<unknown>();
    return until(async () => {
      const text = randomUUID();
      sent.add(text);
      await sse.publish(text).catch(() => undefined);
      return events.slice(since).some(({ data }) => sent.has(data));
    });
  };

  return {
    redis,
    start,
    closeLast,
    startProxy,
    behindProxy,
    collect,
    subscribers,
    subscribed,
    arrivesAgain,
  };
}

import { afterEach, beforeAll, beforeEach } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { RedisSseBroker } from '../../src/broker/redis/redis.broker.js';
import { checkPublication, type PublishOptions } from '../../src/event/event.js';
import { type History, HISTORY_DEFAULTS, type SseHistoryOptions } from '../../src/options/sse.options.js';
import { Proxy } from './proxy.js';
import { type RedisServer, startRedis } from './redis.js';
import { until } from './until.js';

/** An event of a list. */
export type Listed = PublishOptions & { data: unknown };

/** Events with the numbers as their data. */
export const listOf = (from: number, to: number): Listed[] =>
  numbers(to - from).map((n) => ({ data: from + n }));

/** Publishes a list to a channel. */
export const publishList = (broker: RedisSseBroker, list: readonly Listed[], channel = 'a') =>
  broker.publishAll(
    channel,
    list.map(({ data, ...options }) => checkPublication(data, options, 100_000)),
  );

export const numbers = (to: number): number[] => Array.from({ length: to }, (_, n) => n);

/** Gives each test a redis-server behind a proxy, and brokers that publish to it. To be called within a `describe()`. */
export function publishing() {
  // Outages and failures are reported.
  beforeAll(() => Logger.overrideLogger(false));

  const redis = {} as { server: RedisServer; admin: Redis; proxy: Proxy };
  const brokers: RedisSseBroker[] = [];

  beforeEach(async () => {
    redis.server = await startRedis();
    redis.admin = redis.server.admin();
    redis.proxy = await Proxy.start(redis.server.port);
  });
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    redis.proxy.close();
    redis.admin.disconnect();
  });

  /** Does not wait for the connection. */
  const create = (url: string, kept?: History | false) => {
    const broker = new RedisSseBroker(url, 'sse:', kept);
    brokers.push(broker);
    return broker;
  };
  const start = async (url = redis.proxy.url, given: SseHistoryOptions = { maxEvents: 10_000 }) => {
    const broker = create(url, { ...HISTORY_DEFAULTS, ...given, explicit: true });
    await until(() => broker.connected);
    return broker;
  };
  const publish = (broker: RedisSseBroker, data: unknown, options: PublishOptions = {}) =>
    broker.publish(options.channel ?? 'a', checkPublication(data, options, 100_000));
  const publishAll = (broker: RedisSseBroker, from: number, to: number, channel = 'a') =>
    Promise.all(Array.from({ length: to - from }, (_, n) => publish(broker, from + n, { channel })));
  /** The cursors of all stored events. */
  const entries = async (channel = 'a', admin = redis.admin) =>
    (await admin.xrange(`sse:{${channel}}:history`, '-', '+')).map(([id]) => id);
  /** The data of all stored events. */
  const stored = async (channel = 'a', admin = redis.admin) =>
    (await admin.xrange(`sse:{${channel}}:history`, '-', '+')).map(
      ([, [, value]]) => (JSON.parse(value!.slice(value!.indexOf('{'))) as { data: unknown }).data,
    );

  return { redis, create, start, publish, publishAll, entries, stored };
}

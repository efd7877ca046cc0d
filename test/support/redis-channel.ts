import { afterEach } from '@jest/globals';
import { Redis } from 'ioredis';
import { RedisSseBroker } from '../../src/broker/redis/redis.broker.js';
import { checkPublication, type PublishOptions } from '../../src/event/event.js';
import type { History } from '../../src/options/sse.options.js';
import { adminUrl, randomPrefix, redisUrl } from './redis.js';

const closing: (() => Promise<void>)[] = [];

export function closeAfterTest(close: () => Promise<void>): void {
  closing.push(close);
}

/** A channel of a Redis broker, and access to its keys. */
export function redisChannel(kept?: History) {
  const prefix = randomPrefix();
  const [broker, admin] = [new RedisSseBroker(redisUrl(), prefix, kept), new Redis(adminUrl())];
  closeAfterTest(() => broker.close().finally(() => admin.disconnect()));
  return {
    broker,
    admin,
    key: (name: string) => `${prefix}{a}:${name}`,
    publish: (data: unknown, options: PublishOptions = {}) =>
      broker.publish('a', checkPublication(data, options, 1_000)),
  };
}

afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

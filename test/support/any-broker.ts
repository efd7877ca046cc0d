import { afterEach, beforeEach } from '@jest/globals';
import type { ChannelListener, SseBroker } from '../../src/broker/broker.js';
import { MemorySseBroker } from '../../src/broker/memory/memory.broker.js';
import { RedisSseBroker } from '../../src/broker/redis/redis.broker.js';
import { checkPublication, type PublishOptions } from '../../src/event/event.js';
import { decodeMessage, type Message } from '../../src/event/message.js';
import { type History, HISTORY_DEFAULTS, type SseHistoryOptions } from '../../src/options/sse.options.js';
import { randomPrefix, redisUrl } from './redis.js';
import { until } from './until.js';

export const history = (given: SseHistoryOptions = {}): History => ({
  ...HISTORY_DEFAULTS,
  ...given,
  explicit: true,
});

/** Tests of the contract of `SseBroker` run on both. */
export const brokers = [
  ['memory', (kept?: History | false) => new MemorySseBroker(kept)],
  ['Redis', (kept?: History | false) => new RedisSseBroker(redisUrl(), randomPrefix(), kept)],
] as const;

export const withData = ({ json, ...message }: Message) => ({
  ...message,
  data: JSON.parse(json) as unknown,
});

export class RecordingListener implements ChannelListener {
  readonly messages: ReturnType<typeof withData>[] = [];
  subscribed = 0;
  interrupted = 0;

  onSubscribed(): void {
    this.subscribed++;
  }

  onInterrupted(): void {
    this.interrupted++;
  }

  onMessage(text: string): void {
    this.messages.push(withData(decodeMessage(text)!));
  }
}

/** Gives each test a broker. To be called within a `describe()`. */
export function anyBroker(create: (typeof brokers)[number][1]) {
  const current = {} as { broker: SseBroker };
  beforeEach(() => {
    current.broker = create();
  });
  afterEach(() => current.broker.close());

  /** Replaces the broker by one with another history. */
  const replace = async (kept: History | false) => {
    await current.broker.close();
    current.broker = create(kept);
  };
  const publish = (channel: string, data: unknown, options: PublishOptions = {}) =>
    current.broker.publish(channel, checkPublication(data, options, 1_000_000));
  const read = (...args: Parameters<SseBroker['read']>) => current.broker.read(...args);
  const subscribe = async (channel: string) => {
    const listener = new RecordingListener();
    current.broker.subscribe(channel, listener);
    await until(() => listener.subscribed);
    await read(channel, [], 0);
    return listener;
  };

  return { current, replace, publish, read, subscribe };
}

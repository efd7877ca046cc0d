import { setTimeout as sleep } from 'node:timers/promises';
import { RedisSseBroker } from '../../src/broker/redis/redis.broker.js';
import { checkPublication } from '../../src/event/event.js';
import type { SseError } from '../../src/common/sse.errors.js';
import type { SseHistoryOptions } from '../../src/options/sse.options.js';
import type { Proxy } from '../support/proxy.js';
import type { Random } from './random.js';
import { proxyOf, redisOf, type Way } from './way.js';

/** The result of one call of `publish()`. */
export interface Outcome {
  readonly channel: string;
  readonly data: string;
  /** The fault during the call. */
  readonly during: string;
  id?: string;
  error?: SseError;
}

interface PublisherOptions {
  readonly number: number;
  readonly way: Way;
  readonly history: Required<SseHistoryOptions>;
  readonly channels: readonly string[];
  /** Publications a second. */
  readonly rate: number;
  /** The share of events with an id of the publisher, from 0 to 1. */
  readonly ownIds: number;
  readonly random: Random;
  readonly during: () => string;
}

/** Publishes batches of events continuously, and records the result of each call. */
export class Publisher {
  readonly outcomes: Outcome[] = [];
  readonly #broker: RedisSseBroker;
  readonly #pending = new Set<Promise<unknown>>();
  #publishing: Promise<void> | undefined;
  #stopped = false;

  constructor(private readonly options: PublisherOptions) {
    const { way, history } = options;
    this.#broker = new RedisSseBroker(redisOf(way), 'sse:', {
      ...history,
      explicit: true,
    });
  }

  /** Its proxy to Redis, if there is only one server. */
  get proxy(): Proxy {
    return proxyOf(this.options.way);
  }

  start(): void {
    this.#publishing = this.#publish();
  }

  /** @param size in bytes, for large events */
  async send(channel: string, { own = false, size = 0 } = {}): Promise<Outcome> {
    const { number, during } = this.options;
    const count = this.outcomes.length;
    const data = `${channel} ${number} ${count} ${performance.now().toFixed(1)} `;
    const outcome: Outcome = { channel, data, during: during() };
    this.outcomes.push(outcome);
    try {
      const options = own ? { id: `own-${number}-${count}` } : {};
      outcome.id = await this.#broker.publish(
        channel,
        checkPublication(data.padEnd(size, '.'), options, 200_000),
      );
    } catch (error) {
      outcome.error = error as SseError;
    }
    return outcome;
  }

  /** Publishes nothing more. Resolves once all calls have settled. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#publishing;
    await Promise.allSettled(this.#pending);
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#broker.close();
  }

  async #publish(): Promise<void> {
    const { random, ownIds, channels, rate } = this.options;
    for (let due = performance.now(); !this.#stopped;) {
      for (let left = random.below(8); left >= 0; left--) {
        const sending = this.send(random.of(channels), { own: random.next() < ownIds });
        this.#pending.add(sending);
        void sending.finally(() => this.#pending.delete(sending));
      }
      // A batch has 4.5 events on average.
      due += (random.between(0, 2) * 4_500) / rate;
      await sleep(due - performance.now());
    }
  }
}

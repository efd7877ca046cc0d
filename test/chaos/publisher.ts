import { setTimeout as sleep } from 'node:timers/promises';
import { RedisSseBroker } from '../../src/broker/redis.broker.js';
import { checkPublication } from '../../src/event.js';
import type { SseError } from '../../src/sse.errors.js';
import type { SseHistoryOptions } from '../../src/sse.options.js';
import type { Proxy } from '../support/proxy.js';
import type { Random } from './random.js';

/** What became of one call of `publish()`. */
export interface Outcome {
  readonly channel: string;
  readonly data: string;
  /** The fault that it happened in. */
  readonly during: string;
  id?: string;
  error?: SseError;
}

/** Publishes several events at once all the time, and notes what it was told about each. */
export class Publisher {
  readonly outcomes: Outcome[] = [];
  readonly #broker: RedisSseBroker;
  readonly #pending = new Set<Promise<unknown>>();
  #publishing: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly number: number,
    readonly proxy: Proxy,
    history: Required<SseHistoryOptions>,
    private readonly channels: readonly string[],
    private readonly random: Random,
    private readonly during: () => string,
  ) {
    this.#broker = new RedisSseBroker(proxy.url, 'sse:', { ...history, explicit: true });
  }

  start(): void {
    this.#publishing = this.#publish();
  }

  /** @param size in bytes, for events that are to be large */
  async send(channel: string, { own = false, size = 0 } = {}): Promise<Outcome> {
    const count = this.outcomes.length;
    const data = `${channel} ${this.number} ${count} `;
    const outcome: Outcome = { channel, data, during: this.during() };
    this.outcomes.push(outcome);
    try {
      const options = own ? { id: `own-${this.number}-${count}` } : {};
      outcome.id = await this.#broker.publish(
        channel,
        checkPublication(data.padEnd(size, '.'), options, 200_000),
      );
    } catch (error) {
      outcome.error = error as SseError;
    }
    return outcome;
  }

  /** No further events; resolves when the fate of all is known. */
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
    while (!this.#stopped) {
      for (let left = this.random.below(8); left >= 0; left--) {
        const sending = this.send(this.random.of(this.channels), { own: this.random.next() < 0.2 });
        this.#pending.add(sending);
        void sending.finally(() => this.#pending.delete(sending));
      }
      await sleep(this.random.between(1, 20));
    }
  }
}

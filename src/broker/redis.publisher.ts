import { setTimeout as sleep } from 'node:timers/promises';
import { SseError } from '../sse.errors.js';
import { closedError } from './broker.js';
import { type Find, newPublisher, type Route, type Sending } from './redis.pending.js';
import { RedisSender } from './redis.sender.js';
import type { RedisServers } from './redis.servers.js';

/** How many publications may be under way at once, and how much they may hold: an outage must not fill the memory. */
const MAX_PENDING = 100_000;
const MAX_PENDING_SIZE = 67_108_864;
/** How long what is under way is waited for at the end, in ms. */
const CLOSE_MS = 2_000;
const SWEEP_MS = 250;

/**
 * Takes publications, within bounds of number and memory, and has them sent: on one server by one sender, in a cluster by one
 * for each channel, so that a channel that moves, or whose server is gone, holds up no other.
 */
export class RedisPublisher {
  readonly #senders = new Map<string, RedisSender>();
  readonly #held = { count: 0, size: 0 };
  readonly #name = newPublisher();
  #count = 0;
  #sweep: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(
    private readonly servers: RedisServers,
    private readonly find: Find,
  ) {}

  /** @throws SseError `SSE_UNAVAILABLE` */
  publish(sending: Sending): Promise<string> {
    if (this.#closing) return Promise.reject(closedError());
    if (this.#held.count >= MAX_PENDING || this.#held.size + sending.size > MAX_PENDING_SIZE) {
      const message = `More than ${MAX_PENDING} events or ${MAX_PENDING_SIZE} bytes are waiting to be published: await publish()`;
      return Promise.reject(new SseError('SSE_UNAVAILABLE', message));
    }
    this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS).unref();
    return this.#senderOf(sending.channel).publish(sending, this.#count++);
  }

  /** Sends what waited for a server that has come back, or has taken over. */
  flush(): void {
    for (const sender of this.#senders.values()) sender.flush();
  }

  /** Takes nothing more. What is under way has 2 s to be confirmed, with further attempts where it takes them. */
  async close(): Promise<void> {
    this.#closing = true;
    const senders = [...this.#senders.values()];
    const settled = Promise.all(senders.map((sender) => sender.settled()));
    await Promise.race([settled, sleep(CLOSE_MS, undefined, { ref: false })]);
    clearInterval(this.#sweep);
    for (const sender of senders) sender.close();
  }

  #senderOf(channel: string): RedisSender {
    const lane = this.servers.laneOf(channel);
    let sender = this.#senders.get(lane);
    if (!sender) {
      const { servers, find } = this;
      const route: Route = {
        publisher: this.#name,
        place: (refusal) => servers.placeOf(channel, refusal),
        learn: (refusal, { connection }) => servers.learn(refusal, connection),
        find,
      };
      sender = new RedisSender(route, this.#held);
      this.#senders.set(lane, sender);
    }
    return sender;
  }

  #expire(): void {
    for (const [lane, sender] of this.#senders) {
      sender.expire();
      if (!sender.isIdle) continue;
      sender.close();
      this.#senders.delete(lane);
    }
    if (this.#senders.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

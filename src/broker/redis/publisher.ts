import { setTimeout as sleep } from 'node:timers/promises';
import { SseError } from '../../common/sse.errors.js';
import { closedError } from '../broker.js';
import { TICK_MS } from './awake-clock.js';
import { PublicationQueue } from './publication-queue.js';
import {
  type Find,
  newPublisher,
  type PendingPublication,
  type PublishCommand,
  type Routing,
} from './publication.js';
import type { RedisTopology } from './topology.js';

/** How many events may be pending at once, and characters of their data: an outage must not fill the memory. Any list fits. */
const MAX_PENDING = 100_000;
const MAX_PENDING_SIZE = 67_108_864;
/** How long pending publications may take when the application closes, in ms. */
const CLOSE_MS = 2_000;

/**
 * Bounds the pending publications and distributes them to queues: one queue for a single server, one per channel in a cluster, so
 * that a channel which moves, or whose server is unreachable, delays no other.
 */
export class RedisPublisher {
  readonly #queues = new Map<string, PublicationQueue>();
  readonly #usage = { count: 0, size: 0 };
  readonly #name = newPublisher();
  #count = 0;
  #sweep: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(
    private readonly topology: RedisTopology,
    private readonly find: Find,
  ) {}

  /** @throws SseError `SSE_UNAVAILABLE` */
  publish<Result>(command: PublishCommand<Result>): Promise<Result> {
    return this.publishAll([command])[0]!;
  }

  /**
   * The parts of a list for one channel, in order. No part is published after one that is not.
   *
   * @throws SseError `SSE_UNAVAILABLE`, by the promise of each part
   */
  publishAll<Result>(parts: readonly PublishCommand<Result>[]): Promise<Result>[] {
    const refusal = this.#refusalOf(parts);
    if (refusal) return parts.map(() => Promise.reject(refusal));
    this.#sweep ??= setInterval(() => this.#expire(), TICK_MS).unref();
    const queue = this.#queueOf(parts[0]!.channel);
    let before: PendingPublication | undefined;
    return parts.map((part) => {
      before = queue.publish(part, this.#count, before);
      this.#count += part.count;
      return before.result as Promise<Result>;
    });
  }

  /** Sends publications that waited for a server. */
  flush(): void {
    for (const queue of this.#queues.values()) queue.flush();
  }

  /** Accepts no more publications. Pending ones have 2 s to be confirmed, retries included. */
  async close(): Promise<void> {
    this.#closing = true;
    const queues = [...this.#queues.values()];
    const settled = Promise.all(queues.map((queue) => queue.settled()));
    await Promise.race([settled, sleep(CLOSE_MS, undefined, { ref: false })]);
    clearInterval(this.#sweep);
    for (const queue of queues) queue.close();
  }

  #refusalOf(parts: readonly PublishCommand<unknown>[]): SseError | undefined {
    if (this.#closing) return closedError();
    let { count, size } = this.#usage;
    for (const part of parts) {
      count += part.count;
      size += part.size;
    }
    if (count <= MAX_PENDING && size <= MAX_PENDING_SIZE) return undefined;
    const message = `More than ${MAX_PENDING} events or ${MAX_PENDING_SIZE} bytes are waiting to be published: await publish()`;
    return new SseError('SSE_UNAVAILABLE', message);
  }

  #queueOf(channel: string): PublicationQueue {
    const name = this.topology.queueOf(channel);
    const queue = this.#queues.get(name) ?? new PublicationQueue(this.#routingOf(channel), this.#usage);
    this.#queues.set(name, queue);
    return queue;
  }

  #routingOf(channel: string): Routing {
    const { topology, find } = this;
    return {
      publisher: this.#name,
      route: (refusal) => topology.routeOf(channel, refusal),
      learn: (refusal, { connection }) => topology.learn(refusal, connection),
      find,
    };
  }

  #expire(): void {
    for (const [name, queue] of this.#queues) {
      queue.expire();
      if (!queue.isIdle) continue;
      queue.close();
      this.#queues.delete(name);
    }
    if (this.#queues.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

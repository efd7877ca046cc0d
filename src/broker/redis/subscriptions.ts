import type { Logger } from '@nestjs/common';
import type { ChannelListener } from '../broker.js';
import type { RedisTopology, TopologyListener } from './topology.js';
import { RedisSubscriber } from './subscriber.js';

/**
 * Distributes subscriptions to connections: one connection, or one to each master with sharded Pub/Sub. If a channel moves to another
 * server, its subscription is interrupted and made again there.
 */
export class RedisSubscriptions {
  readonly #subscribers = new Map<string, RedisSubscriber>();
  readonly #channels = new Map<
    string,
    { channel: string; listener: ChannelListener; at?: RedisSubscriber }
  >();
  #closed = false;

  /** @param live the Pub/Sub channel of a channel */
  constructor(
    private readonly topology: RedisTopology,
    private readonly live: (channel: string) => string,
    private readonly listener: TopologyListener,
    private readonly logger: Logger,
  ) {}

  /** Whether the servers of all subscribed channels are reachable. */
  get ready(): boolean {
    return [...this.#subscribers.values()].every(({ connection }) => connection.ready);
  }

  subscribe(channel: string, listener: ChannelListener): void {
    if (this.#closed) return;
    const live = this.live(channel);
    const at = this.#at(channel);
    this.#channels.set(live, { channel, listener, at });
    at?.subscribe(live, listener);
  }

  unsubscribe(channel: string): void {
    const live = this.live(channel);
    this.#channels.get(live)?.at?.unsubscribe(live);
    this.#channels.delete(live);
  }

  /** Moves every channel to its current server. */
  route(): void {
    for (const [live, entry] of this.#channels) {
      const to = this.#at(entry.channel);
      if (to === entry.at) continue;
      if (entry.at) {
        entry.at.forget(live);
        entry.listener.onInterrupted();
      }
      entry.at = to;
      to?.subscribe(live, entry.listener);
    }
    const used = new Set([...this.#channels.values()].map(({ at }) => at));
    for (const [name, subscriber] of this.#subscribers) {
      if (used.has(subscriber)) continue;
      this.#subscribers.delete(name);
      void subscriber.close();
    }
  }

  /** Messages of the channel do not arrive: subscribes on another server, or on a new connection. */
  leave(channel: string): void {
    const at = this.#channels.get(this.live(channel))?.at;
    for (const [name, subscriber] of this.#subscribers) {
      if (subscriber !== at) continue;
      this.topology.leave(name);
      this.route();
      if (this.#subscribers.has(name)) at.connection.reconnect();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#channels.clear();
    await Promise.all([...this.#subscribers.values()].map((subscriber) => subscriber.close()));
  }

  #at(channel: string): RedisSubscriber | undefined {
    const server = this.topology.subscriptionServerOf(channel);
    if (!server) return undefined;
    let subscriber = this.#subscribers.get(server.name);
    if (!subscriber) {
      subscriber = new RedisSubscriber(server, this.topology, this.logger);
      this.#subscribers.set(server.name, subscriber);
      this.listener.onConnection(subscriber.connection);
    }
    return subscriber;
  }
}

import type { Logger } from '@nestjs/common';
import type { ChannelListener } from './broker.js';
import type { RedisServers, ServersListener } from './redis.servers.js';
import { RedisSubscriber } from './redis.subscriber.js';

/**
 * What is subscribed to, and where: on one connection, or in a cluster with sharded Pub/Sub on one to each master. A channel
 * that has to be received elsewhere is interrupted, and subscribed to there.
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
    private readonly servers: RedisServers,
    private readonly live: (channel: string) => string,
    private readonly listener: ServersListener,
    private readonly logger: Logger,
  ) {}

  /** Whether everything that is subscribed to is in reach. */
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

  /** Takes every channel to where it is to be received now. */
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

  /** Nothing arrives where the channel is received: it is received elsewhere, or on another connection. */
  leave(channel: string): void {
    const at = this.#channels.get(this.live(channel))?.at;
    for (const [name, subscriber] of this.#subscribers) {
      if (subscriber !== at) continue;
      this.servers.leave(name);
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
    const home = this.servers.homeOf(channel);
    if (!home) return undefined;
    let subscriber = this.#subscribers.get(home.name);
    if (!subscriber) {
      subscriber = new RedisSubscriber(home, this.servers, this.logger);
      this.#subscribers.set(home.name, subscriber);
      this.listener.onConnection(subscriber.connection);
    }
    return subscriber;
  }
}

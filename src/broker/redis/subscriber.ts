import type { Logger } from '@nestjs/common';
import { causeOf } from '../../common/sse.errors.js';
import type { ChannelListener } from '../broker.js';
import { RedisConnection } from './connection.js';
import { isFinal } from './publication.js';
import type { RedisTopology, Server } from './topology.js';

/** Channels named in one SUBSCRIBE: 20,000 take 160 ms in batches of this size (measured). */
const BATCH = 512;
/** After how long a refused channel is retried, in ms: at first, and at most. */
const RETRY_MS = [1_000, 10_000] as const;

/** Internal state of ioredis. */
interface Account {
  readonly condition?: { readonly subscriber: false | { channels(command: string): string[] } };
}

/**
 * One subscriber connection for any number of channels.
 *
 * The listeners say which channels are wanted, Redis's replies which are subscribed. One loop makes the second match the first: for
 * a new channel, after a reconnection (ioredis's own resubscription is lost if the connection breaks again), and after a refusal.
 */
export class RedisSubscriber {
  readonly connection: RedisConnection;
  readonly #listeners = new Map<string, ChannelListener>();
  readonly #acknowledged = new Set<string>();
  /** Channels whose state may differ from what is wanted. */
  readonly #unsettled = new Set<string>();
  readonly #refused = new Map<string, { timer: NodeJS.Timeout; waitMs: number }>();
  #settling = false;
  #generation = 0;
  /** How often the server has ended subscriptions, and how many of these were processed. */
  #endings = 0;
  #ended = 0;

  constructor(
    { source }: Server,
    private readonly topology: RedisTopology,
    private readonly logger: Logger,
  ) {
    this.connection = new RedisConnection(source, 'subscriber', 5_000);
    const { client } = this.connection;
    client.on(topology.sharded ? 'smessage' : 'message', (channel: string, text: string) =>
      this.#receive(channel, text),
    );
    // The server has ended a subscription because its slot has moved.
    client.on('moved', () => this.#hasEnded());
    client.on('close', () => this.#interrupted());
    client.on('ready', () => this.#settle());
  }

  subscribe(channel: string, listener: ChannelListener): void {
    this.#listeners.set(channel, listener);
    this.#unsettled.add(channel);
    this.#settle();
  }

  unsubscribe(channel: string): void {
    this.#listeners.delete(channel);
    this.#forgetRefusal(channel);
    this.#unsettled.add(channel);
    this.#settle();
  }

  /** Without UNSUBSCRIBE: the channel has moved away from the server. */
  forget(channel: string): void {
    this.#listeners.delete(channel);
    this.#acknowledged.delete(channel);
    this.#forgetRefusal(channel);
  }

  async close(): Promise<void> {
    for (const { timer } of this.#refused.values()) clearTimeout(timer);
    this.#listeners.clear();
    this.#unsettled.clear();
    await this.connection.close();
  }

  #receive(channel: string, text: string): void {
    try {
      this.#listeners.get(channel)?.onMessage(text);
    } catch (error) {
      // An exception in a listener of ioredis would end the process.
      this.logger.error(`A message on ${channel} was not processed: ${causeOf(error)}`);
    }
  }

  #interrupted(): void {
    this.#generation++;
    this.#acknowledged.clear();
    this.#unsettled.clear();
    for (const [channel, listener] of this.#listeners) {
      this.#unsettled.add(channel);
      listener.onInterrupted();
    }
  }

  #settle(): void {
    if (this.#settling) return;
    this.#settling = true;
    void this.#settleAll();
  }

  async #settleAll(): Promise<void> {
    // Channels that are wanted in the same turn make one command.
    await Promise.resolve();
    while (this.connection.ready && this.#unsettled.size > 0) {
      // Redis refuses a SUBSCRIBE as a whole: refused channels are retried one by one, after the new ones.
      const isNew = (channel: string) => !this.#refused.has(channel);
      const fresh = [...this.#unsettled].filter(isNew);
      const batch = (fresh.length > 0 ? fresh : [...this.#unsettled]).slice(0, BATCH);
      for (const channel of batch) this.#unsettled.delete(channel);
      const wanted = batch.filter((name) => this.#listeners.has(name));
      const unwanted = batch.filter((name) => !this.#listeners.has(name));
      for (const name of wanted) {
        // Unwanted and wanted again before Redis was told, so the subscription was never interrupted.
        if (this.#acknowledged.has(name)) this.#listeners.get(name)!.onSubscribed();
      }
      const missing = wanted.filter((name) => !this.#acknowledged.has(name));
      await (fresh.length > 0 ? this.#subscribeAll(missing) : this.#subscribeEach(missing));
      await this.#unsubscribeAll(unwanted.filter((name) => this.#acknowledged.has(name)));
    }
    // In the same turn as the last check of the loop, so that no channel is missed.
    this.#settling = false;
  }

  async #subscribeAll(channels: string[]): Promise<void> {
    if (channels.length === 0) return;
    const [generation, endings] = [this.#generation, this.#endings];
    try {
      await this.#send('subscribe', channels);
    } catch (error) {
      if (generation !== this.#generation) return;
      // Finds out which of the channels Redis refuses.
      if (channels.length > 1) return this.#subscribeEach(channels);
      return this.#retryLater(channels[0]!, error as Error);
    }
    // A socket of an application's own connector can close between the reply and this line.
    if (generation !== this.#generation) return;
    const held = endings === this.#endings ? undefined : this.#held();
    for (const channel of channels) {
      if (held && !held.has(channel)) {
        // It has ended already.
        this.#unsettled.add(channel);
        continue;
      }
      this.#acknowledged.add(channel);
      this.#forgetRefusal(channel);
      this.#listeners.get(channel)?.onSubscribed();
    }
  }

  async #subscribeEach(channels: string[]): Promise<void> {
    await Promise.all(channels.map((channel) => this.#subscribeAll([channel])));
  }

  async #unsubscribeAll(channels: string[]): Promise<void> {
    if (channels.length === 0) return;
    const generation = this.#generation;
    for (const channel of channels) this.#acknowledged.delete(channel);
    try {
      await this.#send('unsubscribe', channels);
    } catch (error) {
      // It ended with the connection; otherwise its messages have no listener.
      if (generation === this.#generation && isFinal(error as Error))
        this.logger.warn(`UNSUBSCRIBE failed: ${(error as Error).message}`);
    }
  }

  /** Channels of several slots cannot be in one SSUBSCRIBE. */
  async #send(command: 'subscribe' | 'unsubscribe', channels: string[]): Promise<void> {
    const { client } = this.connection;
    if (!this.topology.sharded) await client[command](...channels);
    else await Promise.all(channels.map((channel) => client[`s${command}`](channel)));
  }

  /** A slot may have thousands of channels, and each sends one such message: they are processed together. */
  #hasEnded(): void {
    if (this.#endings++ === this.#ended) queueMicrotask(() => this.#lookForEnded());
  }

  /** Subscribes again to channels whose subscription the server has ended. */
  #lookForEnded(): void {
    this.#ended = this.#endings;
    const held = this.#held();
    for (const channel of this.#acknowledged) {
      if (held.has(channel)) continue;
      this.#acknowledged.delete(channel);
      this.#unsettled.add(channel);
      this.#listeners.get(channel)?.onInterrupted();
    }
    this.#settle();
  }

  /** The channels that ioredis counts as subscribed. Its event does not name the one that has ended. */
  #held(): ReadonlySet<string> {
    const { condition } = this.connection.client as unknown as Account;
    return new Set(condition?.subscriber ? condition.subscriber.channels('ssubscribe') : []);
  }

  #retryLater(channel: string, error: Error): void {
    this.topology.learn(error, this.connection);
    const before = this.#refused.get(channel);
    if (!before && isFinal(error))
      this.logger.error(`Redis refuses the subscription to ${channel}: ${error.message}`);
    const retry = () => {
      this.#unsettled.add(channel);
      this.#settle();
    };
    // A migrating slot is available again within moments: no backoff.
    const waitMs = before && isFinal(error) ? Math.min(2 * before.waitMs, RETRY_MS[1]) : RETRY_MS[0];
    clearTimeout(before?.timer);
    this.#refused.set(channel, { timer: setTimeout(retry, waitMs).unref(), waitMs });
  }

  #forgetRefusal(channel: string): void {
    clearTimeout(this.#refused.get(channel)?.timer);
    this.#refused.delete(channel);
  }
}

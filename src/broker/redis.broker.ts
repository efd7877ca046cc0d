import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Publication } from '../event.js';
import { isRedisClient } from '../sse.options.js';
import { type ChannelListener, IDEMPOTENCY_MS, POSITION_MS, SseBroker } from './broker.js';
import { encodeBody } from './message.js';
import { RedisConnection, type RedisSource } from './redis.connection.js';
import { RedisSubscriber } from './redis.subscriber.js';

function keyPrefixOf(source: RedisSource): string {
  if (typeof source === 'string') return new URL(source).searchParams.get('keyPrefix') ?? '';
  const { keyPrefix } = isRedisClient(source) ? (source as Redis).options : source;
  return keyPrefix ?? '';
}

/**
 * Scripts go out whole with each call: EVALSHA would fail after a restart or a SCRIPT FLUSH, and be sent again behind
 * publications that were called later.
 */
const script = (name: string) =>
  readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8').replaceAll(/^\s*(--.*)?\n/gm, '');

const PUBLISH = script('publish');
const POSITION = script('position');

/**
 * Carries events between all processes on one Redis.
 *
 * Connections: one for commands, and one that receives, opened with the first subscription. Cost: one EVAL per
 * event (one PUBLISH if transient), one SUBSCRIBE per channel and process.
 */
export class RedisSseBroker extends SseBroker {
  readonly #logger = new Logger('SseModule');
  readonly #commands: RedisConnection;
  readonly #prefix: string;
  #subscriber: RedisSubscriber | undefined;
  #outage = false;
  #closed = false;

  constructor(
    private readonly source: RedisSource,
    prefix: string,
  ) {
    super();
    // ioredis would put its keyPrefix in front of keys, but not of Pub/Sub channels; here it goes in front of both.
    this.#prefix = keyPrefixOf(source) + prefix;
    this.#commands = new RedisConnection(source, 'commands', { commandTimeout: 2_000, socketTimeout: 3_000 });
    this.#report(this.#commands);
  }

  get connected(): boolean {
    return this.#commands.ready && (this.#subscriber?.connection.ready ?? true);
  }

  async publish(channel: string, publication: Publication): Promise<string> {
    const body = encodeBody(publication);
    const live = this.#prefix + channel;
    if (publication.transient) {
      await this.#commands.run((client) => client.publish(live, body));
      return '';
    }
    const { id = '', idempotencyKey } = publication;
    const keys = [this.#key(channel, 'meta')];
    if (idempotencyKey !== undefined) keys.push(this.#key(channel, `idempotency:${idempotencyKey}`));
    const ttls = [POSITION_MS / 1_000, IDEMPOTENCY_MS / 1_000];
    return this.#eval(PUBLISH, keys, [live, body, id, randomInt(2 ** 20), ...ttls]);
  }

  subscribe(channel: string, listener: ChannelListener): void {
    if (this.#closed) return;
    if (!this.#subscriber) {
      this.#subscriber = new RedisSubscriber(this.source, this.#logger);
      this.#report(this.#subscriber.connection);
    }
    this.#subscriber.subscribe(this.#prefix + channel, listener);
  }

  unsubscribe(channel: string): void {
    this.#subscriber?.unsubscribe(this.#prefix + channel);
  }

  async position(channel: string): Promise<string> {
    const key = this.#key(channel, 'meta');
    const ttl = POSITION_MS / 1_000;
    const position = await this.#eval(POSITION, [key], [randomInt(2 ** 20), ttl]);
    // Read on the one connection, it may be ahead of messages that are still on their way on the other.
    await this.#subscriber?.connection.run((client) => client.ping());
    return position;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#commands.close(), this.#subscriber?.close()]);
  }

  #eval(lua: string, keys: string[], args: (string | number)[]): Promise<string> {
    return this.#commands.run((client) => client.eval(lua, keys.length, ...keys, ...args) as Promise<string>);
  }

  /** The channel as hash tag keeps all keys of a channel together in a cluster. */
  #key(channel: string, name: string): string {
    return `${this.#prefix}{${channel}}:${name}`;
  }

  /** One line when an outage starts and one when it has ended, however long and whichever connection. */
  #report(connection: RedisConnection): void {
    connection.client.on('close', () => {
      if (this.#outage || this.#closed) return;
      this.#outage = true;
      this.#logger.warn(`Redis is out of reach (${connection.reason}): streams stay open, publishing fails`);
    });
    connection.client.on('ready', () => {
      if (!this.#outage || !this.connected) return;
      this.#outage = false;
      this.#logger.log('Redis is back');
    });
  }
}

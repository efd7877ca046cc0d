import { randomInt } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { isCursor, type Publication } from '../event.js';
import { isRedisClient } from '../resolve-options.js';
import { SseError } from '../sse.errors.js';
import { type History, HISTORY_DEFAULTS } from '../sse.options.js';
import {
  type BrokerState,
  type ChannelListener,
  CONTROL_CHANNEL,
  CONTROL_KEEPS,
  type Page,
  SseBroker,
  type StoredEvent,
} from './broker.js';
import { decodeEntry, encodeBody } from './message.js';
import { type Findings, inspect } from './redis.check.js';
import { RedisConnection, type RedisSource } from './redis.connection.js';
import type { Find } from './redis.pending.js';
import { RedisProbe } from './redis.probe.js';
import { RedisPublisher } from './redis.publisher.js';
import { RedisScript } from './redis.script.js';
import { RedisSubscriber } from './redis.subscriber.js';

function keyPrefixOf(source: RedisSource): string {
  if (typeof source === 'string') return new URL(source).searchParams.get('keyPrefix') ?? '';
  const { keyPrefix } = isRedisClient(source) ? (source as Redis).options : source;
  return keyPrefix ?? '';
}

/** How long an application that requires Redis waits for it when it starts, in ms. */
const OPEN_MS = 5_000;

const PUBLISH = new RedisScript('publish');
const FIND = new RedisScript('find');
const READ = new RedisScript('read');

/**
 * Carries events between all processes on one Redis, and keeps them in it.
 *
 * Connections: one for commands, and one that receives, opened with the first subscription. Cost: one script call per
 * event (one PUBLISH if it is not kept) and per read, one SUBSCRIBE per channel and process; and by themselves a PING per
 * connection in 2 s, and a PUBLISH in 10 s once something has been subscribed.
 */
export class RedisSseBroker extends SseBroker {
  readonly #logger = new Logger('SseModule');
  readonly #commands: RedisConnection;
  readonly #publisher: RedisPublisher;
  readonly #prefix: string;
  /** How much the channels keep, as the scripts take it. */
  readonly #kept: [maxEvents: number | '', maxAgeMs: number | ''];
  readonly #probe: RedisProbe;
  #subscriber: RedisSubscriber | undefined;
  /** Since when it lasts. */
  #outage: number | undefined;
  #closed = false;

  constructor(
    private readonly source: RedisSource,
    prefix: string,
    private readonly history: History | false = HISTORY_DEFAULTS,
    probeMs?: number,
  ) {
    super();
    // ioredis would put its keyPrefix in front of keys, but not of Pub/Sub channels; here it goes in front of both.
    this.#prefix = keyPrefixOf(source) + prefix;
    if (history === false) this.#kept = [0, ''];
    else this.#kept = history.explicit ? [history.maxEvents, history.maxAgeMs] : ['', ''];
    this.#commands = new RedisConnection(source, 'commands', { socketTimeout: 3_000 });
    this.#publisher = new RedisPublisher(this.#commands, (client, where) => this.#find(client, where));
    this.#probe = new RedisProbe(
      (text) => this.#commands.run((client) => client.publish(this.#prefix + this.#probe.channel, text)),
      (isDeaf, isStill) => this.#reconnect(isDeaf, isStill),
      probeMs,
    );
    this.#observe(this.#commands);
  }

  get state(): BrokerState {
    if (!this.#commands.ready || this.#subscriber?.connection.ready === false) return 'down';
    return this.#probe.isDeaf ? 'deaf' : 'up';
  }

  /**
   * Resolves once the server can be used.
   *
   * @throws SseError `SSE_UNAVAILABLE` if it is out of reach for 5 s, or cannot be used
   */
  async opened(): Promise<void> {
    const { error, warning } = await this.#commands.run(inspect, OPEN_MS);
    if (error !== undefined) throw new SseError('SSE_UNAVAILABLE', error);
    if (warning !== undefined) this.#logger.warn(warning);
  }

  /** Says what keeps the server from being used, or its events from being safe, as soon as it is there. */
  inspect(): void {
    this.#commands.client.once('ready', async () => {
      // Where it is gone again, that is said elsewhere.
      const { error, warning } = await this.#commands.run(inspect).catch((): Findings => ({}));
      if (error !== undefined) this.#logger.error(error);
      if (warning !== undefined) this.#logger.warn(warning);
    });
  }

  publish(channel: string, publication: Publication): Promise<string> {
    const { id = '', idempotencyKey, transient } = publication;
    const kept = !transient && this.history !== false;
    const body = encodeBody(publication, kept);
    const live = this.#prefix + channel;
    const size = body.length;
    if (!kept && idempotencyKey === undefined) {
      const send = (client: Redis) => client.publish(live, body).then(() => id);
      return this.#publisher.publish({ channel, size, repeatable: 'never', send, idOf: () => id });
    }
    const keys = this.#keys(channel);
    if (idempotencyKey !== undefined) keys.push(this.#key(channel, `idempotency:${idempotencyKey}`));
    return this.#publisher.publish({
      channel,
      size,
      repeatable: idempotencyKey === undefined ? 'if not found' : 'always',
      send: (client, { nonce, whole }) => {
        const args = [live, body, id, nonce, randomInt(2 ** 20), ...this.#keptOf(channel)];
        return PUBLISH[whole ? 'load' : 'call'](client, keys, args);
      },
      idOf: (cursor) => id || cursor,
    });
  }

  subscribe(channel: string, listener: ChannelListener): void {
    if (!this.#subscriber) {
      this.#subscriber = new RedisSubscriber(this.source, this.#logger);
      this.#observe(this.#subscriber.connection);
      this.#subscriber.subscribe(this.#prefix + this.#probe.channel, this.#probe);
    }
    this.#subscriber.subscribe(this.#prefix + channel, listener);
  }

  unsubscribe(channel: string): void {
    this.#subscriber?.unsubscribe(this.#prefix + channel);
  }

  async read(channel: string, positions: readonly string[], limit: number): Promise<Page> {
    const cursors = positions.filter(isCursor);
    const id = positions.find((position) => !isCursor(position)) ?? '';
    const keys = this.#keys(channel);
    const args = [randomInt(2 ** 20), ...this.#keptOf(channel), limit, id, ...cursors];
    const answer = await this.#commands.run((client) => READ.run(client, keys, args));
    const [tip, after, entries] = answer as [string, string, [string, string[]][]];
    const events = entries.map(([cursor, fields]) => decodeEntry(cursor, fields));
    return {
      tip,
      after: after === '' ? undefined : after,
      events: events.filter((event): event is StoredEvent => event !== undefined),
      end: entries.at(-1)?.[0] ?? tip,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#probe.onInterrupted();
    await Promise.all([
      this.#subscriber?.close(),
      this.#publisher.close().then(() => this.#commands.close()),
    ]);
  }

  async #find(client: Redis, { channel, prefix, first, age }: Parameters<Find>[1]): ReturnType<Find> {
    const [history, meta] = this.#keys(channel);
    const cursors = new Map<number, string>();
    for (let from = '+', isCertain = 1; ;) {
      const args = [prefix, first.toString(36), age, from];
      const answer = await FIND.run(client, [history!, meta!], args);
      let found: string[];
      [from, isCertain, ...found] = answer as [string, number, ...string[]];
      for (let n = 0; n < found.length; n += 2) {
        cursors.set(parseInt(found[n]!.slice(prefix.length), 36), found[n + 1]!);
      }
      if (from === '') return { cursors, isCertain: isCertain === 1 };
    }
  }

  #keptOf(channel: string): readonly (number | '')[] {
    const { maxEvents, maxAgeMs } = CONTROL_KEEPS;
    return channel === CONTROL_CHANNEL && this.history !== false ? [maxEvents, maxAgeMs] : this.#kept;
  }

  #keys(channel: string): string[] {
    return ['history', 'meta', 'ids', 'ids:old'].map((name) => this.#key(channel, name));
  }

  /** The channel as hash tag keeps all keys of a channel together in a cluster. */
  #key(channel: string, name: string): string {
    return `${this.#prefix}{${channel}}:${name}`;
  }

  #observe(connection: RedisConnection): void {
    const fate = 'streams stay open, publishing fails';
    connection.client.on('close', () =>
      this.#report(`Redis is out of reach (${connection.reason}): ${fate}`),
    );
    connection.client.on('ready', () => this.#report());
  }

  /** One line when an outage starts and one when it has ended, however long and whichever connection. */
  #report(trouble?: string): void {
    if (this.#closed) return;
    const now = performance.now();
    if (this.#outage === undefined && !this.connected && trouble !== undefined) {
      this.#outage = now;
      this.#logger.warn(trouble);
    } else if (this.#outage !== undefined && this.connected) {
      this.#logger.log(`Redis is back, after ${((now - this.#outage) / 1_000).toFixed(1)} s`);
      this.#outage = undefined;
    }
  }

  /** A connection that nothing arrives on leads elsewhere than that on which events are published; or the other way round. */
  #reconnect(isDeaf: boolean, isStill: boolean): void {
    this.#report('What is published does not arrive: the connection that receives is opened anew');
    if (isDeaf) this.#subscriber?.connection.client.disconnect(true);
    if (isStill) this.#commands.client.disconnect(true);
  }
}

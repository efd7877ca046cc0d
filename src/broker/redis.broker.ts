import { randomInt } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { isCursor, type Publication } from '../event.js';
import { clusterOf, keyPrefixOf } from '../redis-source.js';
import { SseError } from '../sse.errors.js';
import { type History, HISTORY_DEFAULTS, type RedisSource } from '../sse.options.js';
import {
  type BrokerState,
  type ChannelListener,
  CONTROL_CHANNEL,
  CONTROL_KEEPS,
  type Page,
  type ReplayBounds,
  SseBroker,
} from './broker.js';
import { decodeEntry, encodeBody } from './message.js';
import { type Findings, inspect } from './redis.check.js';
import { RedisCluster } from './redis.cluster.js';
import { RedisOutage } from './redis.outage.js';
import type { Find } from './redis.pending.js';
import { RedisProbe } from './redis.probe.js';
import { RedisPublisher } from './redis.publisher.js';
import { SCRIPTS } from './redis.script.js';
import { type Place, RedisServer, type RedisServers, type ServersListener } from './redis.servers.js';
import { RedisSubscriptions } from './redis.subscriptions.js';

/** How long an application that requires Redis waits for it when it starts, in ms. */
const OPEN_MS = 5_000;
/** How long one that does not waits for it, to say what is wrong with it: three weeks. */
const INSPECT_MS = 1_814_400_000;

/**
 * Carries events between all processes on one Redis, or one Redis Cluster, and keeps them in it.
 *
 * Connections: one for commands (in a cluster, to each master), and one that receives, opened with the first subscription
 * (with sharded Pub/Sub, to each master whose channels are subscribed to). Cost: one script call per
 * event (one PUBLISH if it is not kept) and per read, one SUBSCRIBE per channel and process; and by themselves a PING per
 * connection in 2 s, and a PUBLISH in 10 s once something has been subscribed.
 */
export class RedisSseBroker extends SseBroker {
  readonly #logger = new Logger('SseModule');
  readonly #servers: RedisServers;
  readonly #isCluster: boolean;
  readonly #publisher: RedisPublisher;
  readonly #prefix: string;
  /** How much the channels keep, as the scripts take it. */
  readonly #kept: [maxEvents: number | '', maxAgeMs: number | ''];
  readonly #probe: RedisProbe;
  readonly #subscriptions: RedisSubscriptions;
  readonly #outage = new RedisOutage(() => this.connected, this.#logger);
  #hasSubscribed = false;

  constructor(
    source: RedisSource,
    prefix: string,
    private readonly history: History | false = HISTORY_DEFAULTS,
    probeMs?: number,
  ) {
    super();
    // ioredis would put its keyPrefix in front of keys, but not of Pub/Sub channels; here it goes in front of both.
    this.#prefix = keyPrefixOf(source) + prefix;
    if (history === false) this.#kept = [0, ''];
    else this.#kept = history.explicit ? [history.maxEvents, history.maxAgeMs] : ['', ''];
    const cluster = clusterOf(source);
    this.#isCluster = cluster !== undefined;
    const listener: ServersListener = {
      onConnection: (connection) => this.#outage.observe(connection),
      onChange: () => this.#change(),
    };
    this.#servers = cluster
      ? new RedisCluster(cluster, (channel) => this.#key(channel, 'history'), listener)
      : new RedisServer(source, listener);
    this.#publisher = new RedisPublisher(this.#servers, (place, where) => this.#find(place, where));
    this.#subscriptions = new RedisSubscriptions(
      this.#servers,
      (channel) => this.#live(channel),
      listener,
      this.#logger,
    );
    this.#probe = new RedisProbe(
      (text) =>
        this.#servers.run(this.#probe.channel, (place) => this.#send(place, this.#probe.channel, text)),
      (isDeaf, isStill) => this.#reconnect(isDeaf, isStill),
      probeMs,
    );
  }

  get state(): BrokerState {
    if (!this.#servers.ready || !this.#subscriptions.ready) return 'down';
    return this.#probe.isDeaf ? 'deaf' : 'up';
  }

  /**
   * Resolves once the server can be used.
   *
   * @throws SseError `SSE_UNAVAILABLE` if it is out of reach for 5 s, or cannot be used
   */
  async opened(): Promise<void> {
    const { error, warning } = await this.#inspect(OPEN_MS);
    if (error !== undefined) throw new SseError('SSE_UNAVAILABLE', error);
    if (warning !== undefined) this.#logger.warn(warning);
  }

  /** Says what keeps the server from being used, or its events from being safe, as soon as it is there. */
  async inspect(): Promise<void> {
    // Where it is gone again, that is said elsewhere.
    const { error, warning } = await this.#inspect(INSPECT_MS).catch((): Findings => ({}));
    if (error !== undefined) this.#logger.error(error);
    if (warning !== undefined) this.#logger.warn(warning);
  }

  async #inspect(waitMs: number): Promise<Findings> {
    const given = { cluster: this.#isCluster, sharded: this.#servers.sharded };
    const all = await this.#servers.runOnAll((client) => inspect(client, given), waitMs);
    return all.find(({ error }) => error) ?? all.find(({ warning }) => warning) ?? {};
  }

  publish(channel: string, publication: Publication): Promise<string> {
    const { id = '', idempotencyKey, transient } = publication;
    const kept = !transient && this.history !== false;
    const body = encodeBody(publication, kept);
    const size = body.length;
    if (!kept && idempotencyKey === undefined) {
      const send = (place: Place) => this.#send(place, channel, body).then(() => id);
      return this.#publisher.publish({ channel, size, isRepeatable: false, send, idOf: () => id });
    }
    const keys = this.#keys(channel, id !== '');
    if (idempotencyKey !== undefined) keys.push(this.#key(channel, `idempotency:${idempotencyKey}`));
    const command = this.#servers.sharded ? 'SPUBLISH' : 'PUBLISH';
    return this.#publisher.publish({
      channel,
      size,
      isRepeatable: true,
      send: (place, { publisher, number, after = '', whole }) => {
        const event = [this.#live(channel), body, id, publisher + number.toString(36), randomInt(2 ** 20)];
        const args = [...event, ...this.#keptOf(channel), command, number, after];
        return SCRIPTS.publish[whole ? 'load' : 'call'](place, keys, args);
      },
      idOf: (cursor) => id || cursor,
    });
  }

  subscribe(channel: string, listener: ChannelListener): void {
    if (!this.#hasSubscribed) this.#subscriptions.subscribe(this.#probe.channel, this.#probe);
    this.#hasSubscribed = true;
    this.#subscriptions.subscribe(channel, listener);
  }

  unsubscribe(channel: string): void {
    this.#subscriptions.unsubscribe(channel);
  }

  async read(
    channel: string,
    positions: readonly string[],
    limit: number,
    bounds?: ReplayBounds,
  ): Promise<Page> {
    const cursors = positions.filter(isCursor);
    const id = positions.find((position) => !isCursor(position)) ?? '';
    const keys = this.#keys(channel, id !== '');
    const most = [bounds?.events ?? '', bounds?.size ?? ''];
    const args = [randomInt(2 ** 20), ...this.#keptOf(channel), limit, ...most, id, ...cursors];
    const answer = await this.#servers.run(channel, (place) => SCRIPTS.read.run(place, keys, args));
    const [tip, after, entries, isTooMuch] = answer as [string, string, [string, string[]][], unknown];
    return {
      tip,
      after: after === '' ? undefined : after,
      events: entries.flatMap(([cursor, fields]) => decodeEntry(cursor, fields) ?? []),
      end: entries.at(-1)?.[0] ?? tip,
      isTooMuch: Number(isTooMuch) === 1 || undefined,
    };
  }

  override async now(channel: string): Promise<number> {
    const [s, us] = await this.#servers.run(channel, ({ connection }) => connection.client.time());
    return Number(s) * 1_000 + Number(us) / 1_000;
  }

  override serverOf(channel: string): string {
    return this.#servers.placeOf(channel).connection.address;
  }

  async close(): Promise<void> {
    this.#outage.close();
    this.#probe.onInterrupted();
    await Promise.all([
      this.#subscriptions.close(),
      this.#publisher.close().then(() => this.#servers.close()),
    ]);
  }

  async #find(place: Place, { channel, publisher, first }: Parameters<Find>[1]): ReturnType<Find> {
    const cursors = new Map<number, string>();
    for (let from = '+'; from !== '';) {
      const args = [publisher, first.toString(36), from];
      const answer = await SCRIPTS.find.run(place, [this.#key(channel, 'history')], args);
      const [next, ...found] = answer as [string, ...string[]];
      from = next;
      const numberOf = (nonce: string) => parseInt(nonce.slice(publisher.length), 36);
      for (let n = 0; n < found.length; n += 2) cursors.set(numberOf(found[n]!), found[n + 1]!);
    }
    return cursors;
  }

  #keptOf(channel: string): readonly (number | '')[] {
    const isControl = channel === CONTROL_CHANNEL && this.history !== false;
    return isControl ? [CONTROL_KEEPS.maxEvents, CONTROL_KEEPS.maxAgeMs] : this.#kept;
  }

  /**
   * Those that a script needs, and no others: while a slot moves, a server refuses what names a key that it does not have,
   * be it that there is none.
   */
  #keys(channel: string, withIds = false): string[] {
    const names = withIds ? ['history', 'meta', 'ids', 'ids:old'] : ['history', 'meta'];
    return names.map((name) => this.#key(channel, name));
  }

  /** Its Pub/Sub channel: sharded, that has to be in the slot of the keys. */
  #live(channel: string): string {
    return this.#prefix + (this.#servers.sharded ? `{${channel}}` : channel);
  }

  /** To who is subscribed, and no one else. */
  #send(place: Place, channel: string, text: string): Promise<unknown> {
    // While a slot moves, who is subscribed still is where it comes from.
    const { client } = (place.asking ? this.#servers.placeOf(channel) : place).connection;
    return client[this.#servers.sharded ? 'spublish' : 'publish'](this.#live(channel), text);
  }

  /** The channel as hash tag keeps all keys of a channel together in a cluster. */
  #key(channel: string, name: string): string {
    return `${this.#prefix}{${channel}}:${name}`;
  }

  #change(): void {
    this.#publisher.flush();
    this.#subscriptions.route();
    this.#outage.report();
  }

  /** A connection that nothing arrives on leads elsewhere than that on which events are published; or the other way round. */
  #reconnect(isDeaf: boolean, isStill: boolean): void {
    this.#outage.report('What is published does not arrive: the connection that receives is opened anew');
    const { channel } = this.#probe;
    if (isDeaf) this.#subscriptions.leave(channel);
    if (isStill) this.#servers.placeOf(channel).connection.reconnect();
  }
}

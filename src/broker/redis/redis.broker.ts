import { randomInt } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { compareCursors, isCursor, type Publication } from '../../event/event.js';
import { clusterOf, keyPrefixOf } from '../../options/redis-source.js';
import { SseError } from '../../common/sse.errors.js';
import { type History, HISTORY_DEFAULTS, type RedisSource } from '../../options/sse.options.js';
import {
  type BrokerState,
  type ChannelListener,
  CONTROL_CHANNEL,
  CONTROL_KEEPS,
  type Newest,
  type Page,
  type PublishOutcome,
  type ReplayBounds,
  SseBroker,
} from '../broker.js';
import { decodeEntry } from '../../event/message.js';
import { type Findings, inspect } from './inspect.js';
import { RedisCluster } from './cluster.js';
import { RedisOutage } from './outage.js';
import { RedisNames } from './names.js';
import type { Find } from './publication.js';
import { RedisProbe } from './probe.js';
import { PublishCommands } from './publish-commands.js';
import { RedisPublisher } from './publisher.js';
import { RedisStreams } from './redis.streams.js';
import { RedisTickets } from './redis.tickets.js';
import { SCRIPTS } from './script.js';
import { StandaloneRedis } from './standalone.js';
import type { RedisTopology, Route, TopologyListener } from './topology.js';
import { RedisSubscriptions } from './subscriptions.js';

/** How long an application that requires Redis waits for it at its start, in ms. */
const OPEN_MS = 5_000;
/** How long another application waits, to log what is wrong with the server: three weeks. */
const INSPECT_MS = 1_814_400_000;

/**
 * Carries events between all processes through one Redis, or one Redis Cluster, and stores them there.
 *
 * Connections: one for commands (in a cluster, one to each master), and one for subscriptions, opened with the first one (with
 * sharded Pub/Sub, one to each master that has subscribed channels). Cost: one script call per event (one PUBLISH if it is not
 * stored) and per read, one SUBSCRIBE per channel and process; in the background a PING per connection in 2 s, and a PUBLISH in
 * 10 s while anything is subscribed.
 */
export class RedisSseBroker extends SseBroker {
  readonly #logger = new Logger('SseModule');
  readonly #topology: RedisTopology;
  readonly #isCluster: boolean;
  readonly #publisher: RedisPublisher;
  readonly #commands: PublishCommands;
  readonly #names: RedisNames;
  readonly streams: RedisStreams;
  readonly tickets: RedisTickets;
  /** How much history channels keep, as arguments of the scripts. */
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
    // ioredis would add its keyPrefix to keys, but not to Pub/Sub channels. Here both get it.
    this.#names = new RedisNames(keyPrefixOf(source) + prefix, () => this.#topology.sharded);
    if (history === false) this.#kept = [0, ''];
    else this.#kept = history.explicit ? [history.maxEvents, history.maxAgeMs] : ['', ''];
    const cluster = clusterOf(source);
    this.#isCluster = cluster !== undefined;
    const listener: TopologyListener = {
      onConnection: (connection) => this.#outage.observe(connection),
      onChange: () => this.#change(),
    };
    this.#topology = cluster
      ? new RedisCluster(cluster, (channel) => this.#names.key(channel, 'history'), listener)
      : new StandaloneRedis(source, listener);
    this.streams = new RedisStreams(this.#topology, this.#names);
    this.tickets = new RedisTickets(this.#topology, this.#names);
    const keptOf = (channel: string) => this.#keptOf(channel);
    this.#commands = new PublishCommands(this.#topology, this.#names, history !== false, keptOf);
    this.#publisher = new RedisPublisher(this.#topology, (route, where) => this.#find(route, where));
    this.#subscriptions = new RedisSubscriptions(
      this.#topology,
      (channel) => this.#names.live(channel),
      listener,
      this.#logger,
    );
    this.#probe = new RedisProbe(
      (text) =>
        this.#topology.run(this.#probe.channel, (route) =>
          this.#commands.send(route, this.#probe.channel, text),
        ),
      (isDeaf, isStill) => this.#reconnect(isDeaf, isStill),
      probeMs,
    );
  }

  get state(): BrokerState {
    if (!this.#topology.ready || !this.#subscriptions.ready) return 'down';
    return this.#probe.isDeaf ? 'deaf' : 'up';
  }

  /**
   * Resolves once the server can be used.
   *
   * @throws SseError `SSE_UNAVAILABLE` if it is unreachable for 5 s, or cannot be used
   */
  async opened(): Promise<void> {
    const { error, warning } = await this.#inspect(OPEN_MS);
    if (error !== undefined) throw new SseError('SSE_UNAVAILABLE', error);
    if (warning !== undefined) this.#logger.warn(warning);
  }

  /** Logs why the server cannot be used, or may lose events, as soon as it is reachable. */
  async inspect(): Promise<void> {
    // An outage is logged by `RedisOutage`.
    const { error, warning } = await this.#inspect(INSPECT_MS).catch((): Findings => ({}));
    if (error !== undefined) this.#logger.error(error);
    if (warning !== undefined) this.#logger.warn(warning);
  }

  async #inspect(waitMs: number): Promise<Findings> {
    const given = { cluster: this.#isCluster, sharded: this.#topology.sharded };
    const all = await this.#topology.runOnAll((client) => inspect(client, given), waitMs);
    return all.find(({ error }) => error) ?? all.find(({ warning }) => warning) ?? {};
  }

  publish(channel: string, publication: Publication): Promise<string> {
    return this.#publisher.publish(this.#commands.event(channel, publication));
  }

  async publishAll(channel: string, publications: readonly Publication[]): Promise<PublishOutcome[]> {
    const [first] = publications;
    // The script for one event takes less of the process and of Redis (`bench/publish.bench.js`, 100 in 100 channels).
    if (first && publications.length === 1) {
      return [await this.publish(channel, first).catch((error: SseError) => error)];
    }
    const commands = this.#commands.list(channel, publications);
    const outcomes = await Promise.allSettled(this.#publisher.publishAll(commands));
    return outcomes.flatMap((outcome, part): readonly PublishOutcome[] =>
      outcome.status === 'fulfilled'
        ? outcome.value
        : Array.from({ length: commands[part]!.count }, () => outcome.reason as SseError),
    );
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
    from: readonly string[] | Newest,
    limit: number,
    bounds?: ReplayBounds,
  ): Promise<Page> {
    const positions = 'newest' in from ? [] : from;
    const cursors = 'newest' in from ? [`-${from.newest}`] : positions.filter(isCursor);
    const id = positions.find((position) => !isCursor(position)) ?? '';
    const keys = this.#names.keys(channel, id !== '');
    const { events = '', size = '' } = bounds ?? {};
    const args = [randomInt(2 ** 20), ...this.#keptOf(channel), limit, events, size, id, ...cursors];
    const answer = await this.#topology.run(channel, (route) => SCRIPTS.read.run(route, keys, args));
    const [tip, after, entries, isMore] = answer as [string, string, [string, string[]][], unknown];
    return {
      tip,
      after: after === '' ? undefined : after,
      events: entries.flatMap(([cursor, fields], index) => {
        const decoded = decodeEntry(cursor, fields);
        // A position may be inside the first pack.
        return index > 0 ? decoded : decoded.filter((event) => compareCursors(event.cursor, after) > 0);
      }),
      end: entries.at(-1)?.[0] ?? tip,
      ['newest' in from ? 'isTruncated' : 'isTooMuch']: Number(isMore) === 1 || undefined,
    };
  }

  override async now(channel: string): Promise<number> {
    const [s, us] = await this.#topology.run(channel, ({ connection }) => connection.client.time());
    return Number(s) * 1_000 + Number(us) / 1_000;
  }

  override serverOf(channel: string): string {
    return this.#topology.routeOf(channel).connection.address;
  }

  async close(): Promise<void> {
    this.#outage.close();
    this.#probe.onInterrupted();
    await Promise.all([
      this.#subscriptions.close(),
      this.#publisher.close().then(() => this.#topology.close()),
    ]);
  }

  async #find(route: Route, { channel, publisher, first }: Parameters<Find>[1]): ReturnType<Find> {
    const cursors = new Map<number, string>();
    for (let from = '+'; from !== '';) {
      const args = [publisher, first.toString(36), from];
      const answer = await SCRIPTS.find.run(route, [this.#names.key(channel, 'history')], args);
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

  #change(): void {
    this.#publisher.flush();
    this.#subscriptions.route();
    this.#outage.report();
  }

  /** The connections for commands and for subscriptions may lead to different servers. */
  #reconnect(isDeaf: boolean, isStill: boolean): void {
    this.#outage.report('Published events do not arrive: the subscriber connection reconnects');
    const { channel } = this.#probe;
    if (isDeaf) this.#subscriptions.leave(channel);
    if (isStill) this.#topology.routeOf(channel).connection.reconnect();
  }
}

import { Logger } from '@nestjs/common';
import type { Channels } from '../channel/channels.js';
import { Bucket } from './bucket.js';
import type { SseLimits } from '../options/sse.options.js';
import type { Connection } from './connection.js';
import type { ConnectionIndex } from './connection-index.js';

const WARN_MS = 60_000;

/** Counts open connections, and finds the limit that a further one would exceed. */
export class Limits {
  readonly #logger = new Logger('SseModule');
  readonly #perAddress = new Counts<string>();
  /** Addresses, by HTTP/2 session: the session of a proxy may serve many clients. */
  readonly #perSession = new GroupedCounts<object, string>();
  /** Channels, by address. */
  readonly #channelsOf = new GroupedCounts<string, string>();
  readonly #resumes: Bucket;
  readonly #warned = new Map<keyof SseLimits, number>();

  constructor(
    private readonly limits: Required<SseLimits>,
    private readonly channels: Channels,
    private readonly open: ConnectionIndex,
  ) {
    this.#resumes = new Bucket(limits.resumesPerSecond);
  }

  /** Whether a connection is within all limits. Its resumes are charged in this call. */
  admits(connection: Connection, users: readonly string[]): boolean {
    const exceeded = this.#exceededBy(connection, users);
    if (exceeded) this.#warn(exceeded);
    return !exceeded;
  }

  add({ channels, source, http2Session }: Connection): void {
    const network = networkOf(source?.address);
    this.#perAddress.add(network);
    this.#perSession.add(http2Session, network ?? '');
    for (const channel of channels) this.#channelsOf.add(network, channel);
  }

  remove({ channels, source, http2Session }: Connection): void {
    const network = networkOf(source?.address);
    this.#perAddress.delete(network);
    this.#perSession.delete(http2Session, network ?? '');
    for (const channel of channels) this.#channelsOf.delete(network, channel);
  }

  #exceededBy(
    { channels, source, http2Session, resumes }: Connection,
    users: readonly string[],
  ): keyof SseLimits | undefined {
    const network = networkOf(source?.address);
    const { limits } = this;
    const ofUser = users.reduce((most, user) => Math.max(most, this.open.countOfUser(user)), 0);
    const ofAddress = network === undefined ? 0 : this.#channelsOf.of(network).sizeWith(channels);
    if (this.open.size >= limits.connections) return 'connections';
    if (ofUser >= limits.connectionsPerUser) return 'connectionsPerUser';
    if (this.#perAddress.count(network) >= limits.connectionsPerAddress) return 'connectionsPerAddress';
    if (this.#perSession.of(http2Session).count(network ?? '') >= limits.connectionsPerSession) {
      return 'connectionsPerSession';
    }
    if (this.channels.countWith(channels) > limits.channels) return 'channels';
    if (ofAddress > limits.channelsPerAddress) return 'channelsPerAddress';
    // Each of its channels may cost a read.
    return resumes && !this.#resumes.take(channels.length) ? 'resumesPerSecond' : undefined;
  }

  /** At most once a minute for each limit: there may be thousands of refusals. */
  #warn(name: keyof SseLimits): void {
    const now = Date.now();
    if (now - (this.#warned.get(name) ?? -Infinity) < WARN_MS) return;
    this.#warned.set(name, now);
    this.#logger.warn(`Connections are refused: the limit is ${this.limits[name]} (limits.${name})`);
  }
}

/** The /64 of an IPv6 address, as a client has all of its addresses; other addresses unchanged. */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined || !/[:%]/.test(address)) return address;
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return plain;
  const [head = [], tail = []] = plain.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const groups = [...head, ...zeros, ...tail].slice(0, 4);
  return groups.map((group) => parseInt(group, 16).toString(16)).join(':');
}

/** Counts by key. An undefined key counts nothing. */
class Counts<Key> {
  readonly #counts = new Map<Key, number>();

  /** The number of different keys. */
  get size(): number {
    return this.#counts.size;
  }

  /** The same with these keys added. */
  sizeWith(keys: readonly Key[]): number {
    return this.size + keys.filter((key) => !this.#counts.has(key)).length;
  }

  count(key: Key | undefined): number {
    return key === undefined ? 0 : (this.#counts.get(key) ?? 0);
  }

  add(key: Key | undefined): void {
    if (key !== undefined) this.#counts.set(key, this.count(key) + 1);
  }

  delete(key: Key | undefined): void {
    if (key === undefined) return;
    if (this.count(key) > 1) this.#counts.set(key, this.count(key) - 1);
    else this.#counts.delete(key);
  }
}

const NONE = new Counts<never>();

/** Counts by group and key. Empty groups are removed; an undefined group counts nothing. */
class GroupedCounts<Group, Key> {
  readonly #groups = new Map<Group, Counts<Key>>();

  of(group: Group | undefined): Pick<Counts<Key>, 'count' | 'sizeWith'> {
    return (group !== undefined && this.#groups.get(group)) || NONE;
  }

  add(group: Group | undefined, key: Key): void {
    if (group === undefined) return;
    const counts = this.#groups.get(group) ?? new Counts<Key>();
    this.#groups.set(group, counts);
    counts.add(key);
  }

  delete(group: Group | undefined, key: Key): void {
    if (group === undefined) return;
    const counts = this.#groups.get(group);
    counts?.delete(key);
    if (counts?.size === 0) this.#groups.delete(group);
  }
}

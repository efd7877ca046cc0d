import { randomInt } from 'node:crypto';
import type { Publication } from '../../event/event.js';
import type { RedisNames } from './names.js';
import { type Attempt, type PublishCommand, repeatedError } from './publication.js';
import { SCRIPTS } from './script.js';
import type { Route } from './topology.js';

/** The history arguments of events that are only sent. */
const NOTHING = [0, ''] as const;

/** What `publish-all.lua` returns. */
type Answer = readonly [first: string, ...known: (string | number)[]];

/** Where and how a list is published. */
export interface ListTarget {
  readonly channel: string;
  readonly names: RedisNames;
  /** How much history the channel keeps. */
  readonly kept: readonly (number | '')[];
  /** Whether any event of the list is stored. Its transient events are then refused with it. */
  readonly isStored: boolean;
  /** The server of its subscribers, while it migrates: where messages that are not stored go. */
  readonly liveRoute: (route: Route) => Route;
}

/** An event of a list, and its message. */
export interface ListedEvent {
  readonly publication: Publication;
  readonly body: string;
}

/** Publishes events of one channel by one call of a script. It publishes all of them, or none. */
export class ListCommand implements PublishCommand<readonly string[]> {
  readonly script = SCRIPTS.publishAll;
  readonly channel: string;
  readonly count: number;
  readonly size: number;
  readonly isRepeatable: boolean;
  readonly #events: readonly (Pick<Publication, 'id' | 'transient'> & { readonly body: string })[];
  readonly #isKeyed: boolean;
  readonly #keys: string[];
  readonly #details: string;
  /** Ids that were published before with the same idempotency key, by place from 0. */
  #known = new Map<number, string>();

  constructor(
    private readonly target: ListTarget,
    events: readonly ListedEvent[],
  ) {
    const { channel, names, isStored } = target;
    this.channel = channel;
    this.count = events.length;
    this.size = events.reduce((sum, { publication }) => sum + publication.data.length, 0);
    // Without the data, which is in the body.
    this.#events = events.map(({ publication: { id, transient }, body }) => ({ id, transient, body }));
    const isKeyed = ({ publication }: ListedEvent) => publication.idempotencyKey !== undefined;
    this.isRepeatable = isStored || events.every(isKeyed);
    this.#isKeyed = events.some(isKeyed);
    const hasIds = events.some(({ publication }) => publication.id !== undefined);
    // One key is enough for Redis to name the server of the channel.
    this.#keys = isStored ? names.keys(channel, hasIds) : [names.key(channel, 'history')];
    const details = events.flatMap(({ publication }, place) => this.#detailOf(publication, place));
    this.#details = details.length === 0 ? '' : JSON.stringify(details);
  }

  async send(route: Route, { publisher, number, after, whole }: Attempt): Promise<readonly string[]> {
    const { channel, names, kept, isStored, liveRoute } = this.target;
    const [maxEvents, maxAgeMs] = isStored ? kept : NOTHING;
    const how = [names.command, randomInt(2 ** 20), maxEvents!, maxAgeMs!, number, after ?? ''];
    const args = [names.live(channel), ...how, this.#details];
    let next = number;
    for (const { body } of this.#events) args.push(`${publisher}${(next++).toString(36)} ${body}`);
    // That server does not have the keys any more.
    const [to, keys] =
      route.asking && !isStored && !this.#isKeyed ? [liveRoute(route), []] : [route, this.#keys];
    const [first, ...known] = (await this.script[whole ? 'load' : 'call'](to, keys, args)) as Answer;
    this.#known = new Map();
    for (let n = 0; n < known.length; n += 2) this.#known.set(Number(known[n]) - 1, String(known[n + 1]));
    if (first === '' && isStored && !this.#areAllKnown) throw repeatedError();
    return this.#idsFrom(first);
  }

  resultOf(cursors: ReadonlyMap<number, string>, number: number): readonly string[] | undefined {
    // What was known of a key has expired.
    if ([...this.#known.values()].includes('')) return undefined;
    for (let place = 0; place < this.count; place++) {
      const cursor = cursors.get(number + place);
      if (cursor === undefined) continue;
      const [ms, n] = cursor.split('-');
      return this.#idsFrom(`${ms}-${Number(n) - place}`);
    }
    return undefined;
  }

  #detailOf({ id = '', idempotencyKey, transient }: Publication, place: number): unknown[] {
    if (id === '' && idempotencyKey === undefined && !transient) return [];
    const key = idempotencyKey === undefined ? 0 : this.#keys.push(this.#keyOf(idempotencyKey));
    return [[place + 1, id, key, transient ? 1 : 0]];
  }

  #keyOf(idempotencyKey: string): string {
    return this.target.names.key(this.channel, `idempotency:${idempotencyKey}`);
  }

  /** Whether the ids of all events are known, although the script has stored none of them in this attempt. */
  get #areAllKnown(): boolean {
    return this.#events.every(({ transient }, place) => transient || this.#known.get(place));
  }

  /** @param first the cursor of the first event; the others follow it. '' if nothing is stored */
  #idsFrom(first: string): string[] {
    const [ms, n] = first.split('-');
    return this.#events.map(({ id, transient }, place) => {
      if (transient) return '';
      return this.#known.get(place) ?? id ?? (first === '' ? '' : `${ms}-${Number(n) + place}`);
    });
  }
}

import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { ChannelEvent } from '../../src/channel/channel-event.js';
import { ChannelHub } from '../../src/channel/channel-hub.js';
import { noMetrics } from '../../src/channel/channel-metrics.js';
import { HistoryReader } from '../../src/channel/history-reader.js';
import type { Subscriber } from '../../src/channel/subscribers.js';
import { ModelBroker, ModelStore } from './model-broker.js';
import { until } from './until.js';

/** A frame that a client got. After it, the client is at `cursor`, and its Last-Event-ID is `id`. */
interface Frame {
  readonly kind: 'start' | 'event' | 'reset';
  readonly id: string;
  readonly cursor: string;
}

export class Client implements Subscriber {
  readonly frames: Frame[] = [];

  constructor(
    readonly node: number,
    readonly from: Frame | undefined,
  ) {}

  open(cursor: string): void {
    this.frames.push(this.from ?? { kind: 'start', id: cursor, cursor });
  }

  next({ event: { id, type }, cursor }: ChannelEvent): void {
    this.frames.push({ kind: type === 'sse.reset' ? 'reset' : 'event', id, cursor });
  }

  complete(): void {
    throw new Error('No client is disconnected in this test');
  }
}

const NODES = 2;
const node = fc.nat({ max: NODES - 1 });
/** Publications, deliveries, disturbances and reconnections in any order. */
export const operations = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('publish' as const), count: fc.nat(4), own: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), node, count: fc.nat(6) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('drop', 'double', 'swap', 'repeatOld'), node }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('interrupt', 'connect', 'hold', 'release', 'fail'), node }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('attach' as const), node, at: fc.option(fc.nat()) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('detach' as const), at: fc.nat() }) },
  { weight: 3, arbitrary: fc.constant({ do: 'turn' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('trim', 'loseWrites', 'evictMeta', 'flush'),
      count: fc.nat(5),
    }),
  },
);
type Operation = typeof operations extends fc.Arbitrary<infer T> ? T : never;

/** Nodes with clients of one channel, and a store that loses messages and events. */
export class World {
  readonly store = new ModelStore();
  readonly brokers = Array.from({ length: NODES }, () => new ModelBroker(this.store, 3));
  readonly clients: Client[] = [];
  readonly gone = new Set<Client>();
  readonly #old: string[] = [];
  readonly hubs = this.brokers.map(
    (broker) =>
      new ChannelHub('c', broker, {
        reader: new HistoryReader(broker),
        ring: { maxEvents: 6, maxSize: Infinity },
        maxReplayEvents: Infinity,
        maxReplayBytes: Infinity,
        metrics: noMetrics(),
        onDropped: () => {
          throw new Error('Every message of this test is an event');
        },
      }),
  );

  async run(operation: Operation): Promise<void> {
    const { store } = this;
    switch (operation.do) {
      case 'publish':
        for (let n = 0; n <= operation.count; n++) {
          store.publish(operation.own ? `own${store.published.size}` : undefined);
        }
        return;
      case 'attach':
        return this.attach(operation.node, operation.at === null ? undefined : this.frame(operation.at));
      case 'detach': {
        const client = this.clients[operation.at % (this.clients.length || 1)];
        if (!client) return;
        this.hubs[client.node]!.detach(client);
        this.gone.add(client);
        return;
      }
      case 'turn':
        await turn();
        return;
      case 'trim':
      case 'loseWrites':
        return store[operation.do](operation.count);
      case 'evictMeta':
      case 'flush':
        return store[operation.do]();
      default:
        return this.#disturb(this.brokers[operation.node]!, operation);
    }
  }

  #disturb(broker: ModelBroker, operation: Operation): void {
    const { pending } = broker;
    this.#old.push(...pending.slice(0, 1));
    switch (operation.do) {
      case 'deliver':
        return broker.deliver(operation.count);
      case 'drop':
        pending.shift();
        return;
      case 'double':
        if (pending[0]) pending.unshift(pending[0]);
        return;
      case 'swap':
        pending.push(...pending.splice(0, 1));
        return;
      case 'repeatOld':
        if (this.#old[0]) pending.unshift(this.#old[0]);
        return;
      case 'hold':
        broker.held = true;
        return;
      case 'fail':
        broker.failures = 1;
        return;
      case 'interrupt':
      case 'connect':
      case 'release':
        return broker[operation.do]();
    }
  }

  attach(onNode: number, from?: Frame): void {
    const client = new Client(onNode, from);
    this.clients.push(client);
    this.hubs[onNode]!.whenLive(() => this.hubs[onNode]!.attach(client, from?.id)?.());
  }

  /** Any of the frames that the clients have got. */
  frame(n: number): Frame | undefined {
    const frames = this.clients.flatMap((client) => client.frames);
    return frames[n % (frames.length || 1)];
  }

  /** Delivers all pending messages, and waits until the hubs have found lost ones. */
  async settle(): Promise<void> {
    for (const broker of this.brokers) {
      broker.failures = 0;
      broker.release();
      broker.connect();
    }
    this.store.publish();
    for (const broker of this.brokers) broker.deliver();
    await until(() => this.hubs.every((hub) => hub.live && hub.tip === this.store.tip));
    const there = this.clients.filter((client) => !this.gone.has(client));
    const atTip = () => there.every(({ frames }) => frames.at(-1)?.cursor === this.store.tip);
    await until(atTip).catch(() => undefined);
    await turn();
  }

  /** The index in the final chain at which a position branched off it; -1 if nowhere. */
  branchOf(cursor: string): number {
    const { store } = this;
    if (cursor === store.events[0]?.prev) return -0.5;
    for (let at: string | undefined = cursor; at; at = store.published.get(at)?.prev) {
      const index = store.indexOf(at);
      if (index >= 0) return index;
      if (at === store.events[0]?.prev) return -0.5;
    }
    return -1;
  }

  /** A client that reconnects with a position that the store knows gets no reset. Any other gets at most one. */
  checkReconnected(client: Client): void {
    this.check(client, 'Reconnected');
    const { id } = client.from!;
    const isKnown = this.store.read([id], 0).after !== undefined;
    const resets = client.frames.slice(1).filter(({ kind }) => kind === 'reset').length;
    if (resets > (isKnown ? 0 : 1)) throw new Error(`${resets} resets after ${id}, known: ${isKnown}`);
  }

  /** Throws unless the frames of a client are correct. */
  check({ frames }: Client, what: string, isGone = false): void {
    const show = () =>
      `${what}: ${JSON.stringify(frames)} of ${JSON.stringify(this.store.events.map((e) => e.cursor))}`;
    const seen = new Set<string>();
    let at: number | undefined;
    for (const { kind, cursor } of frames) {
      const index = this.store.indexOf(cursor);
      // A store may have sent its last events before it lost them. Nodes may then get them after the reset.
      if (kind === 'reset' && this.store.hasLostWrites) seen.clear();
      if (kind === 'reset' && !this.store.damaged) throw new Error(`Reset without a cause. ${show()}`);
      if (kind === 'event') {
        if (seen.has(cursor)) throw new Error(`${cursor} came twice. ${show()}`);
        seen.add(cursor);
        if (index < 0 && !this.store.damaged) throw new Error(`${cursor} is not in the chain. ${show()}`);
        if (index >= 0 && at !== undefined && index !== Math.floor(at + 1)) {
          throw new Error(`There is a gap before ${cursor}. ${show()}`);
        }
      }
      // Of an event that the store has lost, only the branch is known.
      if (kind !== 'event' || index >= 0) {
        const branch = this.branchOf(cursor);
        at = branch === -1 ? undefined : branch;
      }
    }
    if (!isGone && frames.at(-1)!.cursor !== this.store.tip)
      throw new Error(`It does not end at the tip. ${show()}`);
  }
}

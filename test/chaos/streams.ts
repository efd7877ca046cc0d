import type { SseStreamEnd } from '../../src/broker/streams.js';
import type { SseStreamState } from '../../src/streams/sse-stream-state.js';
import { until } from '../support/until.js';
import { HoppingClient } from './client.js';
import type { Node } from './node.js';
import { Random } from './random.js';
import type { Rig } from './rig.js';

/** How a stream is produced in the rig: an event every `everyMs`, `count` in total, or until `finish()`. */
export interface Production {
  readonly node?: Node;
  readonly count?: number;
  readonly everyMs?: number;
  readonly leaseMs?: number;
  readonly replace?: boolean;
  /** How it may end, as `describeEnd()` writes it. */
  readonly ends?: readonly string[];
}

/** What a producer has done, and seen of the end. */
interface Produced {
  readonly written: number;
  readonly isAborted: boolean;
  readonly end?: SseStreamEnd;
}

/** What one start of a stream has produced. Its events have the data `<id> <n> <number>`. */
export interface Run {
  readonly number: number;
  readonly node: Node;
  /** The cursor before its first event. */
  readonly generation: string;
  ends: readonly string[];
  /** Known in the end, unless its node was killed. */
  produced?: Produced;
}

/** All runs and readers of one id. */
export interface Stream {
  readonly id: string;
  readonly runs: Run[];
  readonly readers: HoppingClient[];
  readonly aborts: { readonly run: Run; readonly reason: string; readonly answer: string }[];
  /** How often a fault made Redis lose events: each reader may get one reset for it. */
  losses: number;
  /** Whether a fault made Redis lose everything of it. */
  isGone: boolean;
}

export const describeEnd = ({ status, reason }: SseStreamEnd): string =>
  reason === undefined ? status : `${status} ${reason}`;

export const endOf = (reader: HoppingClient): string | undefined => {
  const last = reader.deliveries.at(-1);
  return last?.type === 'sse.end' ? describeEnd(JSON.parse(last.data) as SseStreamEnd) : undefined;
};

/** Streams as a kind of traffic: producers in the nodes of a rig, and readers that hop between them until they get 204. */
export class StreamTraffic {
  readonly streams: Stream[] = [];
  #runs = 0;

  constructor(readonly rig: Rig) {}

  /** Each node produces a stream, which has readers on all nodes. Resolves when every reader has some events. */
  async begin(options: Production = {}): Promise<void> {
    const all = await Promise.all(this.rig.nodes.map((node, n) => this.start(`s${n}`, { node, ...options })));
    for (const stream of all) this.read(stream, 4);
    await until(() =>
      this.streams.every(({ readers }) => readers.every((each) => each.deliveries.length > 5)),
    );
  }

  /** Starts a stream, or another run of one. */
  async start(id: string, { node = this.rig.nodes[0]!, ...production }: Production = {}): Promise<Stream> {
    const { count = 1e6, everyMs = 10, leaseMs = 2_000, ends = ['done'], replace = false } = production;
    const number = ++this.#runs;
    const query = new URLSearchParams(
      Object.entries({ run: number, count, everyMs, leaseMs, replace }).map(([name, value]) => [
        name,
        `${value}`,
      ]),
    );
    const { generation } = await node.ask<{ generation: string }>(`/streams/${id}?${query}`, 'POST');
    const known = this.streams.find((stream) => stream.id === id);
    const stream = known ?? { id, runs: [], readers: [], aborts: [], losses: 0, isGone: false };
    if (!known) this.streams.push(stream);
    stream.runs.push({ number, node, generation, ends });
    return stream;
  }

  /** Adds readers. */
  read({ id, readers }: Stream, count = 1, ports: () => readonly number[] = this.rig.ports): HoppingClient[] {
    const { seed, sightings } = this.rig;
    const added = Array.from({ length: count }, () => {
      const random = new Random(seed * 1_000 + readers.length + 100 * this.streams.length);
      const stayMs = [50, 800] as const;
      const reader = new HoppingClient({
        channel: id,
        path: `/streams/${id}`,
        ports,
        random,
        sightings,
        stayMs,
      });
      readers.push(reader);
      return reader;
    });
    return added;
  }

  /** Stops the last run of a stream. */
  async abort({ id, runs, aborts }: Stream, node: Node, reason: string): Promise<string> {
    const run = runs.at(-1)!;
    const path = `/streams/${id}/stop?reason=${reason}`;
    const { answer } = await node.ask<{ answer: string }>(path, 'POST');
    aborts.push({ run, reason, answer });
    return answer;
  }

  status({ id }: Stream, node: Node): Promise<SseStreamState> {
    return node.ask(`/streams/${id}/status`);
  }

  /** Tells all producers to come to an end. */
  async finish(): Promise<void> {
    const runs = this.streams.flatMap((stream) => stream.runs).filter((run) => this.#isUp(run));
    await Promise.all(runs.map(({ node, number }) => node.ask(`/streams/runs/${number}/finish`, 'POST')));
  }

  /** Allows for the loss of events by Redis, in all streams. */
  lose(...ends: readonly string[]): void {
    for (const stream of this.streams) {
      stream.losses++;
      for (const run of stream.runs) run.ends = [...run.ends, ...ends];
    }
  }

  /** Waits until all streams have ended and all readers have got 204, the late ones included. */
  async settle(): Promise<void> {
    await this.finish();
    const states = () =>
      Promise.all(this.streams.map((stream) => this.status(stream, this.rig.nodes[0]!).catch(String)));
    await until(states, (all) => all.every((each) => typeof each === 'object' && each.state !== 'live'));
    for (const stream of this.streams) this.read(stream, 2);
    const open = () =>
      this.streams.flatMap(({ id, readers }) =>
        readers
          .filter(({ isOver }) => !isOver)
          .map(({ deliveries }) => `${id}: ${deliveries.length}, ${JSON.stringify(deliveries.at(-1))}`),
      );
    await until(open, ({ length }) => length === 0);
    for (const run of this.streams.flatMap(({ runs }) => runs)) {
      const { node, number } = run;
      const ask = () => node.ask<Produced>(`/streams/runs/${number}`);
      if (this.#isUp(run)) run.produced = await until(ask, ({ end }) => end !== undefined);
    }
  }

  /** Closes all readers. */
  stop(): void {
    for (const { readers } of this.streams) for (const reader of readers) reader.close();
  }

  /** Whether no fault has killed its node. */
  #isUp({ node }: Run): boolean {
    return this.rig.nodes.includes(node);
  }
}

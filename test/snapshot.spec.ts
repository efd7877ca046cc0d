import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type SseEvent, SseModule, SseService } from 'nestjs-sse-channels';
import type { Subscription } from 'rxjs';
import { brokerOptions } from './support/broker-options.js';
import { compileModule } from './support/nest-module.js';
import { until } from './support/until.js';

/** A row with a version, as the snapshot and the events have it. */
type Row = [key: string, version: number];

/** A step of a writer or of the reader; the steps of each keep their order. */
type Step = () => unknown;

/** The position, then the state, then the events; and the order that loses events. */
const READERS = { documented: ['position', 'load'], wrong: ['load', 'position'] } as const;

/** All ways to interleave the steps of several actors. */
function* interleavings(actors: readonly (readonly Step[])[]): Generator<Step[]> {
  const ready = actors.filter(({ length }) => length > 0);
  if (ready.length === 0) yield [];
  for (const actor of ready) {
    const rest = ready.map((each) => (each === actor ? each.slice(1) : each));
    for (const steps of interleavings(rest)) yield [actor[0]!, ...steps];
  }
}

/** A random interleaving. Each actor is as likely to be next as its share of the steps. */
function shuffled(actors: readonly (readonly Step[])[], random: () => number): Step[] {
  const all = actors.map((steps) => [...steps]);
  const steps: Step[] = [];
  for (let left = all.flat().length; left > 0; left--) {
    let n = Math.floor(random() * left);
    const next = all.find(({ length }) => (n -= length) < 0)!;
    steps.push(next.shift()!);
  }
  return steps;
}

/** Numbers from a linear congruential generator: each run has the same ones. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}

/** Of two writers with two steps each, and a reader with three. */
const INTERLEAVINGS = 210;

let count = 0;

/** Writers that commit and then publish, and a reader. */
class Race {
  readonly #channel = `race${count++}`;
  readonly #table = new Map<string, number>();
  readonly #state = new Map<string, number>();
  readonly #events: SseEvent[] = [];
  #position = '';
  #subscription: Subscription | undefined;

  constructor(private readonly sse: SseService) {}

  writer(key: string, version: number): Step[] {
    return [
      () => this.#table.set(key, version),
      () => this.sse.publish([key, version], { channel: this.#channel }),
    ];
  }

  reader(order: keyof typeof READERS): Step[] {
    const steps = {
      position: async () => (this.#position = await this.sse.position(this.#channel)),
      load: () => this.#table.forEach((version, key) => this.#state.set(key, version)),
    };
    const options = () => ({ lastEventId: this.#position });
    const connect = () => {
      this.#subscription = this.sse
        .messages(this.#channel, options())
        .subscribe((event) => this.#events.push(event));
    };
    return [...READERS[order].map((name) => steps[name]), connect];
  }

  /** Runs the steps one after the other. @returns whether the reader knows the table */
  async run(steps: readonly Step[]): Promise<boolean> {
    for (const step of steps) await step();
    await this.sse.publish('end', { channel: this.#channel });
    const hasEnded = () => this.#events.at(-1)?.data === 'end';
    // Usually within a few turns of the event loop, which take less time than the pause of `until()`.
    for (let n = 0; n < 100 && !hasEnded(); n++) await turn();
    await until(hasEnded);
    this.#subscription?.unsubscribe();
    for (const { data } of this.#events.slice(0, -1)) {
      const [key, version] = data as Row;
      if (version > (this.#state.get(key) ?? 0)) this.#state.set(key, version);
    }
    return [...this.#table].every(([key, version]) => this.#state.get(key) === version);
  }
}

/** Between loading a state and listening to its changes. */
describe.each(brokerOptions)('A snapshot and the events after its position %s', (_, options) => {
  const start = async () =>
    (await compileModule({ imports: [SseModule.forRoot(options())] })).get(SseService);
  const lost = async (sse: SseService, order: keyof typeof READERS) => {
    let losses = 0;
    const actors = (race: Race) => [race.writer('x', 1), race.writer('y', 1), race.reader(order)];
    for (let n = 0; n < INTERLEAVINGS; n++) {
      const race = new Race(sse);
      const all = [...interleavings(actors(race))];
      expect(all).toHaveLength(INTERLEAVINGS);
      if (!(await race.run(all[n]!))) losses++;
    }
    return losses;
  };

  it('lose no change that is published between them, in any interleaving of two writers', async () => {
    expect(await lost(await start(), 'documented')).toBe(0);
  });

  it('lose changes if the state is loaded before the position', async () => {
    expect(await lost(await start(), 'wrong')).toBeGreaterThan(10);
  });
});

describe('A snapshot and the events after its position', () => {
  it('lose no change in 10,000 random interleavings of six writes to two rows', async () => {
    const sse = (await compileModule({ imports: [SseModule.forRoot()] })).get(SseService);
    const random = randomFrom(1);
    for (let n = 0; n < 10_000; n++) {
      const race = new Race(sse);
      const versions = [1, 2, 3];
      // The writes to a row are ordered, as by a lock of its table.
      const writers = ['x', 'y'].map((key) => versions.flatMap((version) => race.writer(key, version)));
      const steps = shuffled([...writers, race.reader('documented')], random);
      expect([n, await race.run(steps)]).toEqual([n, true]);
    }
  });
});

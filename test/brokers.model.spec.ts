import { afterEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Page, SseBroker } from '../src/broker/broker.js';
import { MemorySseBroker } from '../src/broker/memory/memory.broker.js';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { checkPublication, compareCursors, isCursor } from '../src/event/event.js';
import { HISTORY_DEFAULTS } from '../src/options/sse.options.js';
import { randomPrefix, redisUrl } from './support/redis.js';

const channel = fc.constantFrom('a', 'b');
const publish = fc.record({
  do: fc.constant('publish' as const),
  channel,
  data: fc.jsonValue({ maxDepth: 1 }),
  type: fc.option(fc.constantFrom('t', 'é', '"'), { nil: undefined }),
  id: fc.option(fc.constantFrom('1', '2', 'x"y', '7-7'), { nil: undefined }),
  retry: fc.option(fc.nat(10), { nil: undefined }),
  idempotencyKey: fc.option(fc.constantFrom('k', 'l'), { nil: undefined, freq: 3 }),
});
const transient = fc.record({ do: fc.constant('transient' as const), channel });
const read = fc.record({
  do: fc.constant('read' as const),
  channel,
  /** Cursors by the order of their first appearance, ids unchanged, and a cursor that never existed. */
  positions: fc.oneof(
    fc.array(fc.oneof<fc.Arbitrary<number | string>[]>(fc.nat(30), fc.constant('1763884800000-1')), {
      maxLength: 4,
    }),
    fc.constantFrom('1', '2', 'x"y', '7-7', 'none').map((id): (number | string)[] => [id]),
  ),
  limit: fc.nat(12),
});
const operations = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: publish },
    { weight: 1, arbitrary: transient },
    { weight: 5, arbitrary: read },
  ),
  { maxLength: 50, size: 'max' },
);
type Operation = typeof operations extends fc.Arbitrary<(infer T)[]> ? T : never;

/** A broker whose cursors are numbered by their first appearance, so that the results of two brokers can be compared. */
class Named {
  readonly #names = new Map<string, string>();
  readonly #cursors: string[] = [];

  constructor(private readonly broker: SseBroker) {}

  async run(operation: Operation): Promise<unknown> {
    if (operation.do === 'transient') {
      return this.broker.publish(operation.channel, checkPublication(0, { transient: true }, 100));
    }
    if (operation.do === 'publish') {
      const { data, channel: to, do: _, ...options } = operation;
      // Each chain is read before the first publication, so that its start has the same number in both brokers.
      await this.broker.read(to, [], 0).then(({ tip }) => this.#name(tip));
      return this.#name(await this.broker.publish(to, checkPublication(data, options, 10_000)));
    }
    const positions = operation.positions.map((position) =>
      typeof position === 'string' ? position : (this.#cursors[position] ?? '1763884800000-2'),
    );
    return this.#namePage(await this.broker.read(operation.channel, positions, operation.limit));
  }

  #namePage({ tip, after, events, end }: Page): unknown {
    return {
      tip: this.#name(tip),
      after: after && this.#name(after),
      events: events.map((event) => ({
        ...event,
        // Redis stores less of it.
        size: 0,
        id: this.#name(event.id!),
        cursor: this.#name(event.cursor),
        prev: this.#name(event.prev!),
      })),
      end: this.#name(end),
    };
  }

  #name(id: string): string {
    if (!isCursor(id)) return id;
    if (!this.#names.has(id)) {
      this.#names.set(id, `cursor ${this.#cursors.length}`);
      this.#cursors.push(id);
    }
    return this.#names.get(id)!;
  }
}

describe('The brokers', () => {
  const brokers: SseBroker[] = [];
  afterEach(() => Promise.all(brokers.splice(0).map((broker) => broker.close())));

  it('give the same results for any publications and reads', async () => {
    const redis = new RedisSseBroker(redisUrl(), randomPrefix());
    brokers.push(redis);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(operations, async (all) => {
        // One connection for all runs, and separate channels for each.
        const suffix = `-${run++}`;
        const inMemory = new Named(new MemorySseBroker());
        const onRedis = new Named(redis);
        for (const each of all) {
          const expected = await inMemory.run({ ...each, channel: each.channel + suffix } as Operation);
          expect(await onRedis.run({ ...each, channel: each.channel + suffix } as Operation)).toEqual(
            expected,
          );
        }
      }),
      { seed: 20_261_123, numRuns: 200 },
    );
  });

  it.each([
    [
      'memory',
      (maxEvents: number) => new MemorySseBroker({ ...HISTORY_DEFAULTS, maxEvents, explicit: true }),
    ],
    [
      'Redis',
      (maxEvents: number) =>
        new RedisSseBroker(redisUrl(), randomPrefix(), { ...HISTORY_DEFAULTS, maxEvents, explicit: true }),
    ],
  ])('return a complete result or none if the history is short: %s', async (_, create) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 350 }),
        async (kept, count) => {
          const broker = create(kept);
          brokers.push(broker);
          const publishing = Array.from({ length: count }, (__, n) =>
            broker.publish('c', checkPublication(n, {}, 100)),
          );
          const ids = await Promise.all(publishing);
          expect(ids).toEqual(ids.toSorted(compareCursors));
          for (const [n, id] of ids.entries()) {
            const { after, events } = await broker.read('c', [id], 1_000);
            if (n >= count - kept - 1) expect(after).toBe(id);
            if (after !== undefined) expect(events.map(({ cursor }) => cursor)).toEqual(ids.slice(n + 1));
          }
        },
      ),
      { seed: 20_261_123, numRuns: 8 },
    );
  });
});

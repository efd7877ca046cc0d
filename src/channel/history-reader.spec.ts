import { describe, expect, it } from '@jest/globals';
import { MemorySseBroker } from '../broker/memory/memory.broker.js';
import type { Page } from '../broker/broker.js';
import { HistoryReader } from './history-reader.js';

/** A broker whose reads wait for the test. The first letter of a channel names its server. */
class SlowBroker extends MemorySseBroker {
  readonly asked: string[] = [];
  readonly #answers = new Map<string, () => void>();

  override serverOf(channel: string): string {
    return channel[0]!;
  }

  override async read(channel: string, positions: readonly string[], limit: number): Promise<Page> {
    this.asked.push(channel);
    await new Promise<void>((resolve) => this.#answers.set(channel, resolve));
    return super.read(channel, positions, limit);
  }

  async answer(channel: string): Promise<void> {
    this.#answers.get(channel)!();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('HistoryReader', () => {
  const start = () => {
    const broker = new SlowBroker();
    const reader = new HistoryReader(broker);
    /** The maximum number of reads at a time from one server. */
    const fill = async (server: string) => {
      let count = 0;
      for (; !reader.isBusy(server); count++) void reader.read(`${server}${count}`, [], { purpose: 'audit' });
      await turn();
      broker.asked.length = 0;
      return count;
    };
    return { broker, reader, fill };
  };

  it('reads from one server while another does not respond', async () => {
    const { broker, reader, fill } = start();
    expect(await fill('a')).toBe(16);
    const late = reader.read('a-late', [], { purpose: 'repair' });
    void reader.read('b', [], { purpose: 'audit' });
    await turn();
    expect(broker.asked).toEqual(['b']);
    expect([reader.isBusy('a'), reader.isBusy('b')]).toEqual([true, false]);
    await broker.answer('a0');
    await broker.answer('a-late');
    expect(await late).toMatchObject({ events: [] });
  });

  it('repairs live channels first, then opens new ones, then replays to reconnecting clients', async () => {
    const { broker, reader, fill } = start();
    await fill('a');
    const isWanted = () => true;
    void reader.read('a-audit', [], { purpose: 'audit' });
    void reader.readPatiently('a-replay', ['1-1'], { purpose: 'replay', isWanted });
    void reader.read('a-open', [], { purpose: 'open' });
    void reader.read('a-repair', [], { purpose: 'repair' });
    for (const channel of ['a0', 'a1', 'a2', 'a3']) await broker.answer(channel);
    expect(broker.asked).toEqual(['a-repair', 'a-open', 'a-replay', 'a-audit']);
  });

  it('skips reads that are no longer needed', async () => {
    const { broker, reader, fill } = start();
    await fill('a');
    const clients = [{ isThere: true }, { isThere: true }, { isThere: true }];
    const replay = (position: string, client: (typeof clients)[number]) =>
      reader.readPatiently('a-replay', [position], { purpose: 'replay', isWanted: () => client.isThere });
    const gone = replay('1-1', clients[0]!);
    const [left, stays] = [replay('2-1', clients[1]!), replay('2-1', clients[2]!)];
    clients[0]!.isThere = clients[1]!.isThere = false;
    await broker.answer('a0');
    expect(broker.asked).toEqual(['a-replay']);
    expect(await gone).toBeUndefined();
    await broker.answer('a-replay');
    expect(await Promise.all([left, stays])).toEqual([
      expect.objectContaining({ events: [] }),
      expect.objectContaining({ events: [] }),
    ]);
    await broker.answer('a1');
    expect(broker.asked).toEqual(['a-replay']);
  });
});

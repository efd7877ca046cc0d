import { describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { SseModule, SseStreams } from 'nestjs-sse-channels';
import { clusterBrokers, MODES } from './support/cluster-brokers.js';
import { startHeld } from './support/streams-app.js';
import { eventually, until } from './support/until.js';

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

describe.each(MODES)('A stream in a Redis Cluster with %s Pub/Sub', (_, shardedSubscribers) => {
  const { clusters } = clusterBrokers();

  it('is complete and in order while its slot moves, and is stopped from another node', async () => {
    const cluster = await clusters.take();
    const redis = { ...cluster.options, shardedSubscribers };
    const start = async () => {
      const module = await Test.createTestingModule({ imports: [SseModule.forRoot({ redis })] }).compile();
      await module.init();
      return module;
    };
    const modules = [await start(), await start()] as const;
    const [owner, other] = modules.map((module) => module.get(SseStreams)) as [SseStreams, SseStreams];
    const { out, handle } = await startHeld(owner, 'a', { leaseMs: 60_000 });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { type, data } of other.events('a')) seen.push(type ? [type, data] : data);
    })();
    const stop = new AbortController();
    const writing = (async () => {
      let n = 0;
      for (; !stop.signal.aborted; n++) {
        out.write(n);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return n;
    })();
    const first = await cluster.ownerOf('a');
    const second = await cluster.otherThanOwnerOf('a');
    for (const master of [second, first, second]) {
      await cluster.move('a', master);
      const since = seen.length;
      await until(() => seen.length > since + 50);
    }
    stop.abort();
    const count = await writing;
    await until(() => seen.length === count);
    expect(await eventually('The answer', other.abort('a'))).toBe('stopped');
    expect(await handle.done).toEqual({ status: 'aborted', reason: 'user' });
    await eventually('The end', reading);
    expect(seen).toEqual([...range(0, count), ['sse.end', { status: 'aborted', reason: 'user' }]]);
    await Promise.all(modules.map((module) => module.close()));
  });
});

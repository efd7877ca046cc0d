import { describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { type ConnectionOptions, Queue, type Worker } from 'bullmq';
import { EventSource } from 'eventsource';
import type { SseService } from 'nestjs-sse-channels';
import { platforms } from '../support/app.js';
import { startNode } from '../support/recipe-node.js';
import { moduleOf, snippetsOf } from '../support/recipes.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';

interface Recipe {
  ImportsController: Type;
  start: (sse: SseService, queue: Queue, rows: string[]) => Promise<string>;
  work: (sse: SseService, connection: ConnectionOptions, importRow: (row: string) => unknown) => Worker;
}

/** Runs the client's code as a page of this node does. */
function openPage(node: string, id: string) {
  const bar = { value: 0 };
  const ends: unknown[] = [];
  let loads = 0;
  class PageEventSource extends EventSource {
    constructor(path: string) {
      super(new URL(path, node));
    }
  }
  const code = `${snippetsOf('job-progress.md', 'js')[0]}; return source;`;
  // oxlint-disable-next-line no-new-func, no-implied-eval -- the page's own code
  const source = new Function('EventSource', 'id', 'bar', 'show', 'load', code)(
    PageEventSource,
    id,
    bar,
    (failed: unknown) => ends.push(failed),
    () => loads++,
  ) as EventSource;
  return { bar, ends, source, loads: () => loads };
}

describe('The recipe job-progress.md', () => {
  it('shows each page the whole progress, through retries and broken connections, and the end', async () => {
    const { ImportsController, start, work } = await moduleOf<Recipe>('job-progress.md');
    const redis = await startRedis();
    const connection = { url: redis.url };
    const queue = new Queue('imports', { connection });
    const options = {
      prefix: 'sse:',
      controllers: [ImportsController],
      sse: { redis: redis.url, retryMs: 100 },
    };
    const nodes = await Promise.all(platforms.map(([, platform]) => startNode(platform, options)));
    const [one, two] = nodes;

    // Each row waits for the test. The first attempt fails at its third row.
    const rows: ((error?: Error) => void)[] = [];
    const importRow = () =>
      new Promise<void>((resolve, reject) => rows.push((error) => (error ? reject(error) : resolve())));
    const worker = work(two!.sse, connection, importRow);
    const next = async (error?: Error) => {
      await until(() => rows.length > 0);
      rows.shift()!(error);
    };
    try {
      const id = await start(one!.sse, queue, ['a', 'b', 'c', 'd']);
      const early = openPage(one!.relay.url, id);
      await next();
      await until(() => early.bar.value === 0.25);
      await next();
      await until(() => early.bar.value === 0.5);
      const late = openPage(two!.relay.url, id);
      await until(() => late.bar.value === 0.5);
      await next(new Error('The row is locked'));
      one!.relay.cut();
      for (let row = 0; row < 4; row++) await next();
      await until(() => early.ends.length === 1 && late.ends.length === 1);
      for (const { bar, ends, source, loads } of [early, late]) {
        expect([bar.value, ends, source.readyState, loads()]).toEqual([1, [null], EventSource.CLOSED, 0]);
      }

      const failing = await start(two!.sse, queue, ['a']);
      for (let attempt = 0; attempt < 3; attempt++) await next(new Error('No such table'));
      const after = openPage(one!.relay.url, failing);
      await until(() => after.ends.length > 0);
      expect([after.bar.value, after.ends]).toEqual([0, ['No such table']]);

      const forgotten = openPage(one!.relay.url, crypto.randomUUID());
      await until(() => forgotten.loads() === 1);
      forgotten.source.close();
    } finally {
      await worker.close();
      await queue.close();
      // Their idle connections would hold up the end of the applications.
      for (const { relay } of nodes) relay.close();
    }
  });
});

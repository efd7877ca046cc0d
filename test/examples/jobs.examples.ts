import { describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { type Job, Queue, Worker } from 'bullmq';
import { EventSource } from 'eventsource';
import { SseStreams } from 'nestjs-sse-channels';
import { platforms } from '../support/app.js';
import { startNode } from '../support/recipe-node.js';
import { moduleOf, snippetsOf } from '../support/recipes.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';

interface Recipe {
  ImportsController: Type;
  run: (job: Job, streams: SseStreams, importRow: (row: string) => unknown) => Promise<void>;
}

/** Runs the client's code as a page of this node does. */
function openPage(node: string, id: string) {
  const bar = { value: 0 };
  const seen: number[] = [];
  const ends: unknown[] = [];
  const sources: EventSource[] = [];
  let loads = 0;
  class PageEventSource extends EventSource {
    constructor(path: string) {
      super(new URL(path, node));
      sources.push(this);
      this.addEventListener('progress', ({ data }) => seen.push((JSON.parse(data) as { done: number }).done));
    }
  }
  const [code] = snippetsOf('job-progress.md', 'js') as [string];
  // oxlint-disable-next-line no-new-func, no-implied-eval -- the page's own code
  new Function('EventSource', 'id', 'bar', 'show', 'load', code)(
    PageEventSource,
    id,
    bar,
    (end: unknown) => ends.push(end),
    // The route of the state says that the job waits.
    (again: () => void) => {
      loads++;
      if (ends.length === 0) setTimeout(again, 100);
    },
  );
  const isClosed = () => sources.every(({ readyState }) => readyState === EventSource.CLOSED);
  const shown = () => [bar.value, ends, isClosed()];
  return { bar, ends, seen, shown, loads: () => loads };
}

describe('The recipe job-progress.md', () => {
  it('shows each page the whole progress, through waits, retries and broken connections, and the end', async () => {
    const { ImportsController, run } = await moduleOf<Recipe>('job-progress.md');
    const redis = await startRedis();
    const connection = { url: redis.url };
    const queue = new Queue('imports', { connection });
    const options = {
      prefix: 'sse:',
      controllers: [ImportsController],
      sse: { redis: redis.url, retryMs: 100 },
    };
    const nodes = await Promise.all(platforms.map(([, platform]) => startNode(platform, options)));
    const [one, two] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    const start = async (data: string[], attempts = 1) => {
      const jobId = crypto.randomUUID();
      await queue.add('import', { rows: data }, { jobId, attempts });
      return jobId;
    };

    // Each row waits for the test. The first attempt fails at its third row.
    const rows: ((error?: Error) => void)[] = [];
    const importRow = () =>
      new Promise<void>((resolve, reject) => rows.push((error) => (error ? reject(error) : resolve())));
    const next = async (error?: Error) => {
      await until(() => rows.length > 0);
      rows.shift()!(error);
    };
    const id = await start(['a', 'b', 'c', 'd'], 3);
    const early = openPage(one.relay.url, id);
    await until(() => early.loads() > 0);
    const streams = two.app.get(SseStreams);
    const worker = new Worker('imports', (job) => run(job, streams, importRow), { connection });
    try {
      await next();
      await until(() => early.bar.value === 0.25);
      await next();
      await until(() => early.bar.value === 0.5);
      const late = openPage(two.relay.url, id);
      await until(() => late.bar.value === 0.5);
      await next(new Error('The row is locked'));
      await next();
      await until(() => early.bar.value === 0.25 && late.bar.value === 0.25);
      one.relay.cut();
      for (let row = 1; row < 4; row++) await next();
      await until(() => early.ends.length === 1 && late.ends.length === 1);
      for (const page of [early, late]) {
        expect(page.shown()).toEqual([1, [{ status: 'done' }], true]);
        expect(page.seen).toEqual([0.25, 0.5, 0.25, 0.5, 0.75, 1]);
      }

      const failing = await start(['a']);
      await next(new Error('No such table'));
      const after = openPage(one.relay.url, failing);
      await until(() => after.ends.length > 0);
      expect(after.shown()).toEqual([0, [{ status: 'error', reason: 'No such table' }], true]);

      const stopped = await start(['a', 'b'], 3);
      const watching = openPage(one.relay.url, stopped);
      await next();
      await until(() => watching.bar.value === 0.5);
      const answer = await fetch(`${one.relay.url}/imports/${stopped}/stop`, { method: 'POST' });
      expect(await answer.text()).toBe('stopped');
      await until(() => watching.ends.length > 0);
      expect(watching.shown()).toEqual([0.5, [{ status: 'aborted', reason: 'user' }], true]);
      await next();
      await until(async () => (await queue.getJob(stopped))?.failedReason === 'Stopped');
    } finally {
      await worker.close();
      await queue.close();
      // Their idle connections would hold up the end of the applications.
      for (const { relay } of nodes) relay.close();
    }
  });
});

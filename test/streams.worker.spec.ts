import { describe, expect, it } from '@jest/globals';
import { Queue } from 'bullmq';
import { platforms } from './support/app.js';
import { Cli } from './support/cli.js';
import { connect } from './support/client.js';
import { startRedis } from './support/redis.js';
import { startNode } from './support/streams-app.js';
import { until } from './support/until.js';

/** A worker process without HTTP: each job of its queue produces a stream. */
const WORKER = `
  import { Worker } from 'bullmq';
  import { NestFactory } from '@nestjs/core';
  import { SseModule, SseStreams } from 'nestjs-sse-channels';
  const app = await NestFactory.createApplicationContext(SseModule.forRoot(process.env.REDIS), { logger: false });
  const streams = app.get(SseStreams);
  const work = async ({ id, data }) => {
    const out = await streams.open('job:' + id);
    try {
      for (let n = 0; n < data.steps; n++) {
        if (n === data.failsAt) throw new Error('The disk is full');
        out.write({ step: n }, { type: 'step' });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await out.end();
    } catch (error) {
      await out.fail('the import has failed');
      throw error;
    }
  };
  const worker = new Worker('imports', work, { connection: { url: process.env.REDIS } });
  await worker.waitUntilReady();
  console.log('ready');
  process.stdin.on('data', async () => {
    await worker.close();
    await app.close();
    process.stdin.destroy();
  });
`;

describe.each(platforms)('A worker of a queue, without HTTP, with readers on %s', (_, platform) => {
  it('produces a stream for each job, and tells the readers how it has ended', async () => {
    const redis = await startRedis();
    const worker = new Cli('', { REDIS: redis.url }, ['node', '--input-type=module', '--eval', WORKER]);
    const queue = new Queue('imports', { connection: { url: redis.url } });
    const { streams, url } = await startNode(platform, { redis: redis.url });
    await until(() => worker.lines.includes('ready') || worker.stderr);
    const ids = await Promise.all(
      [{ steps: 50 }, { steps: 50, failsAt: 20 }].map(async (data) => (await queue.add('import', data)).id!),
    );
    await until(async () => {
      const states = await Promise.all(ids.map((id) => streams.status(`job:${id}`)));
      return states.every(({ state }) => state !== 'missing');
    });
    const readers = await Promise.all(ids.map((id) => connect(`${url}/streams/job:${id}`)));
    await until(() => readers.every(({ ended }) => ended));
    const steps = Array.from({ length: 50 }, (__, step) => JSON.stringify({ step }));
    expect(readers.map(({ events }) => events.slice(1).map(({ data }) => data))).toEqual([
      [...steps, '{"status":"done"}'],
      [...steps.slice(0, 20), '{"status":"error","reason":"the import has failed"}'],
    ]);
    worker.process.stdin!.write('end');
    expect([await worker.end(), worker.stderr]).toEqual([0, '']);
    await queue.close();
  });
});

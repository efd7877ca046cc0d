import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { Cli } from './support/cli.js';
import { connect } from './support/client.js';
import { freePort } from './support/port.js';
import { compiled } from './support/programs.js';
import { startRedis } from './support/redis.js';
import { until } from './support/until.js';
import { ChannelController } from './support/channel.controller.js';

const [script, worker, consumer] = compiled('docs/workers.md');

/** A worker process that runs its job once. */
const JOB = `
  import { NestFactory } from '@nestjs/core';
  import { SseModule } from 'nestjs-sse-channels';
  ${worker}
  const module = { module: class {}, imports: [SseModule.forRoot(process.env.REDIS)], providers: [Reports] };
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  let isLate = false;
  // Started before the publication in the same process, so a busy machine delays both.
  const yardstick = setTimeout(() => (isLate = true), 5_000);
  const answer = await app.get(Reports).process({ data: { report: 7 } }).catch(({ code }) => code);
  clearTimeout(yardstick);
  console.log(JSON.stringify({ answer, isLate }));
  await app.close();
`;

/** A process that handles events, and ends after the one with the data `last`. */
const CONSUMER = `
  import { NestFactory } from '@nestjs/core';
  import { SseModule, SseService } from 'nestjs-sse-channels';
  ${consumer}
  const app = await NestFactory.createApplicationContext(SseModule.forRoot(process.env.REDIS), { logger: false });
  const stop = new AbortController();
  const handle = async (data, id) => {
    console.log(JSON.stringify({ data, id }));
    if (data === 'last') stop.abort();
  };
  await consume(app.get(SseService), handle, { signal: stop.signal, lastEventId: process.env.LAST_EVENT_ID });
  await app.close();
`;

const run = (program: string, redis: string, env = {}) =>
  new Cli('', { REDIS: redis, ...env }, ['node', '--input-type=module', '--eval', program]);

async function runJob(redis: string): Promise<{ answer: string; isLate: boolean }> {
  const job = run(JOB, redis);
  expect(await job.end()).toBe(0);
  return JSON.parse(job.stdout) as { answer: string; isLate: boolean };
}

const serve = (redis: string) =>
  platforms.map(([, platform]) =>
    startApp(platform, { imports: [SseModule.forRoot(redis)], controllers: [ChannelController] }),
  );

describe('A process without HTTP', () => {
  it('publishes with one Redis connection, in order, to the clients of other processes, and ends by itself', async () => {
    const redis = await startRedis();
    const apps = await Promise.all(serve(redis.url));
    const readers = await Promise.all(apps.map(({ url }) => connect(`${url}/channel?channel=imports`)));
    const admin = redis.admin();
    const clients = async () =>
      [...((await admin.client('LIST')) as string).matchAll(/^id=(\d+) .*\bname=(\S*)/gm)].map(
        ([, id, name]) => `${name} ${id}`,
      );
    const before = new Set(await clients());
    const coverage = mkdtempSync(join(tmpdir(), 'sse-coverage-'));
    // The process stays until the test has checked its connections.
    const held = script!.replace(
      'await app.close()',
      'for await (const _ of process.stdin); await app.close()',
    );
    const process = run(held, redis.url, { NODE_V8_COVERAGE: coverage });
    for (const reader of readers) {
      const events = await reader.take(4);
      expect(events.slice(1).map(({ data }) => data)).toEqual(
        ['fetched', 'checked', 'imported'].map((step) => JSON.stringify({ step })),
      );
    }
    const own = (await clients()).filter((client) => !before.has(client));
    expect(own).toEqual([expect.stringMatching(/^sse:commands /)]);
    process.process.stdin!.end();
    expect(await process.end()).toBe(0);
    expect(await clients()).toHaveLength(before.size);
    admin.disconnect();

    // The coverage report of Node.js lists all loaded files.
    const [report] = readdirSync(coverage).map((name) => readFileSync(join(coverage, name), 'utf8'));
    const { result } = JSON.parse(report!) as { result: { url: string }[] };
    const loaded = result.map(({ url }) => url).join('\n');
    rmSync(coverage, { recursive: true });
    expect(loaded).toContain('node_modules/@nestjs/core/');
    expect(loaded).not.toMatch(/node_modules\/(@nestjs\/platform-|express|fastify)/);
  });

  it('publishes once for a job that runs twice', async () => {
    const redis = await startRedis();
    const [app] = await Promise.all(serve(redis.url));
    const reader = await connect(`${app!.url}/channel?channel=reports`);
    const [first, second] = [await runJob(redis.url), await runJob(redis.url)];
    expect(second.answer).toBe(first.answer);
    const other = run(JOB.replace('report: 7', 'report: 8'), redis.url);
    expect(await other.end()).toBe(0);
    const [, ...events] = await reader.take(3);
    expect(events).toMatchObject([{ id: first.answer, data: '{"ready":7}' }, { data: '{"ready":8}' }]);
  });

  it('handles stored and live events, and the next process goes on after the last one', async () => {
    const redis = await startRedis();
    const [{ app }] = (await Promise.all(serve(redis.url))) as { app: INestApplication }[] as [
      { app: INestApplication },
    ];
    const publish = (data: string) => app.get(SseService).publish(data, { channel: 'orders' });
    for (const data of ['first', 'second']) await publish(data);
    const one = run(CONSUMER, redis.url);
    await until(() => one.lines.length === 2);
    for (const data of ['last', 'after']) await publish(data);
    expect(await one.end()).toBe(0);
    const handled = (cli: Cli) => cli.lines.map((line) => JSON.parse(line) as { data: string; id: string });
    expect(handled(one).map(({ data }) => data)).toEqual(['first', 'second', 'last']);
    const next = run(CONSUMER, redis.url, { LAST_EVENT_ID: handled(one).at(-1)!.id });
    await until(() => next.lines.length === 1);
    await publish('last');
    expect(await next.end()).toBe(0);
    expect(handled(next).map(({ data }) => data)).toEqual(['after', 'last']);
  });

  it('fails within 5 s without Redis, and still ends', async () => {
    const redis = `redis://127.0.0.1:${await freePort()}`;
    const process = run(script!, redis);
    const { answer, isLate } = await runJob(redis);
    expect(answer).toBe('SSE_UNAVAILABLE');
    expect(isLate).toBe(false);
    expect(await process.end()).toBe(1);
    expect(process.stderr).toContain("code: 'SSE_UNAVAILABLE'");
  });
});

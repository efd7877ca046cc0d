import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { Sentinels } from './support/sentinel.js';
import { until } from './support/until.js';

describe('Behind Sentinel', () => {
  const contexts: INestApplicationContext[] = [];
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
  });

  const start = async (redis: SseModuleOptions['redis']) => {
    const context = await NestFactory.createApplicationContext(SseModule.forRoot({ redis }), {
      logger: false,
    });
    contexts.push(context);
    return context.get(SseService);
  };

  it.each<[string, (sentinels: Sentinels) => Promise<unknown>]>([
    ['an operator lets another server take over', (sentinels) => sentinels.failOver()],
    [
      'the master hangs, and goes on later',
      async (sentinels) => {
        const master = await sentinels.master();
        master.signal('SIGSTOP');
        await until(
          () => sentinels.master(),
          (each) => each !== master,
          20_000,
        );
        await sleep(2_000);
        master.signal('SIGCONT');
      },
    ],
    [
      'the master is killed, and comes back',
      async (sentinels) => {
        const master = await sentinels.master();
        await master.kill();
        await until(
          () => sentinels.master(),
          (each) => each !== master,
          20_000,
        );
        await master.start();
      },
    ],
  ])('goes on where %s', async (_, fail) => {
    const sentinels = await Sentinels.start();
    const sse = await start(sentinels.options);
    const client = new Redis({ ...sentinels.options, lazyConnect: true });
    const other = await start(client);
    const events: SseEvent[] = [];
    other.messages().subscribe((event) => events.push(event));
    let count = 0;
    const outcomes: Promise<unknown>[] = [];
    const publishing = setInterval(() => {
      outcomes.push(sse.publish(count++).catch((error: Error) => error.message));
    }, 20);
    await until(() => events.length > 20);
    const from = performance.now();
    await fail(sentinels);
    const at = performance.now();
    const { length } = events;
    await until(() => events.length > length + 20, Boolean, 20_000);
    const back = performance.now();
    clearInterval(publishing);
    const all = await Promise.all(outcomes);
    await sse.publish('last');
    await until(() => events.at(-1)?.data === 'last');
    const ids = events.map(({ id }) => id);
    process.stdout.write(`${JSON.stringify({ fail: Math.round(at - from), back: Math.round(back - at), events: events.length, count, rejected: all.filter((each) => !/^\d+-/.test(String(each))).length, resets: events.filter(({ type }) => type === 'sse.reset').length })}\n`);
    expect(new Set(ids).size).toBe(ids.length);
    client.disconnect();
  }, 60_000);
});

import { afterEach, describe, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { Sentinels } from './support/sentinel.js';
import { until } from './support/until.js';

/** That nothing is lost on the way, whatever happens to masters: `test/chaos/topologies.spec.ts`. */
describe('Behind Sentinel', () => {
  const contexts: INestApplicationContext[] = [];
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
  });

  const start = async (redis: SseModuleOptions['redis']) => {
    const module = SseModule.forRoot({ redis, requireRedis: true });
    const context = await NestFactory.createApplicationContext(module, { logger: false });
    contexts.push(context);
    return context.get(SseService);
  };

  it('options and an instance that were made for it lead to the master, and to the one after it', async () => {
    const sentinels = await Sentinels.start();
    const client = new Redis({ ...sentinels.options, lazyConnect: true });
    const [one, other] = [await start(sentinels.options), await start(client)];
    const events: SseEvent[] = [];
    other.messages().subscribe((event) => events.push(event));
    await until(async () => {
      await one.publish('before');
      return events.length > 0;
    });
    const master = await sentinels.master();
    await master.kill();
    await sentinels.moved(master);
    await until(
      () =>
        one.publish('after').then(
          () => true,
          () => false,
        ),
      Boolean,
      20_000,
    );
    await until(() => events.at(-1)!.data === 'after');
    const admin = sentinels.admin();
    const names = String(await admin.client('LIST')).match(/name=sse:\w+/g);
    expect(names?.toSorted()).toEqual(['name=sse:commands', 'name=sse:commands', 'name=sse:subscriber']);
    admin.disconnect();
    client.disconnect();
  }, 60_000);
});

import { afterEach, describe, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import type { RedisServer } from './support/redis.js';
import { Sentinels } from './support/sentinel.js';
import { until, within } from './support/until.js';

/** `test/chaos/topologies.faults.ts` shows that no event is lost when masters fail. */
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

  const connections = async (server: RedisServer) => {
    const admin = server.admin();
    const list = String(await admin.client('LIST'));
    admin.disconnect();
    const names = [...list.matchAll(/ name=sse:(\w+)/g)].map(([, name]) => name);
    return names.toSorted().join();
  };

  it('disconnects from a hung master as soon as there is a new one, before the old one acts as master again', async () => {
    const sentinels = await Sentinels.start();
    const sse = await start(sentinels.options);
    sse.messages().subscribe();
    const master = await sentinels.master();
    await until(
      () => connections(master),
      (names) => names === 'commands,subscriber',
    );
    master.signal('SIGSTOP');
    await sentinels.moved(master);
    master.signal('SIGCONT');
    const next = await sentinels.master();
    const moved = until(
      () => connections(next),
      (names) => names === 'commands,subscriber',
    );
    // The sentinels reconfigure the old master after 8 s or more.
    await within(6_000, 'The move', moved);
  });

  it('disconnects from a hung sentinel', async () => {
    const sentinels = await Sentinels.start();
    const sse = await start(sentinels.options);
    const events: SseEvent[] = [];
    sse.messages().subscribe((event) => events.push(event));
    await until(async () => {
      await sse.publish('before');
      return events.length > 0;
    });
    sentinels.signal('SIGSTOP');
    const master = await sentinels.master();
    await master.kill();
    await sentinels.moved(master);
    await until(() => sse.stats().connected);
    await sse.publish('after');
    await until(() => events.at(-1)!.data === 'after');
    sentinels.signal('SIGCONT');
  });

  it('finds the master and its successor, with options or an instance of ioredis for Sentinel', async () => {
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
    await until(() =>
      one.publish('after').then(
        () => true,
        () => false,
      ),
    );
    await until(() => events.at(-1)!.data === 'after');
    // On a busy machine, the Sentinels may choose another one again.
    await until(
      async () => connections(await sentinels.master()),
      (found) => found === 'commands,commands,subscriber',
    );
    client.disconnect();
  });
});

/**
 * Memory of Redis per event and per channel, as `used_memory` grows.
 *
 *   npm run build && node bench/redis-memory.bench.js
 */
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { say, startRedis } from './redis.js';

const redis = await startRedis(16_382);
const context = await NestFactory.createApplicationContext(SseModule.forRoot(redis.url), { logger: false });
const sse = context.get(SseService);

async function grown(count, work) {
  await redis.admin.flushall();
  const before = await redis.memory();
  await work();
  return Math.round(((await redis.memory()) - before) / count);
}

const events = (bytes, id) => async () => {
  for (let channel = 0; channel < 20; channel++) {
    const publish = (_, n) =>
      sse.publish('x'.repeat(bytes - 2), { channel: `news${channel}`, id: id && `own${n}` });
    await Promise.all(Array.from({ length: 1_000 }, publish));
  }
};

try {
  await sse.publish('warm-up');
  say('| | bytes |\n| --- | ---: |');
  for (const bytes of [100, 1_000, 10_000])
    say(`| an event of ${bytes} bytes | ${await grown(20_000, events(bytes))} |`);
  say(`| an event of 100 bytes with an id | ${await grown(20_000, events(100, true))} |`);
  const one = () =>
    Promise.all(Array.from({ length: 2_000 }, (_, n) => sse.publish(1, { channel: `news${n}` })));
  say(`| a channel with one event | ${await grown(2_000, one)} |`);
} finally {
  await context.close();
  redis.stop();
}

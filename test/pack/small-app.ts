import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';

/** An application for bundlers: it publishes an event, receives it, and exits. */
@Controller()
class AppController {
  @SseChannel('events')
  events() {
    return 'news';
  }
}

const { SSE_REDIS_URL: redis, SSE_PREFIX: prefix } = process.env;

@Module({
  imports: [SseModule.forRoot(redis ? { redis, prefix } : undefined)],
  controllers: [AppController],
})
class AppModule {}

void (async () => {
  const app = await NestFactory.create(AppModule, new ExpressAdapter(), { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const response = await fetch(`${await app.getUrl()}/events`, { signal: AbortSignal.timeout(10_000) });
  const id = await app.get(SseService).publish({ n: 1 }, { channel: 'news', type: 'number' });
  const event = `event: number\nid: ${id}\ndata: {"n":1}\n\n`;
  let received = '';
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    received += text;
    if (received.includes(event)) break;
  }
  await app.close();
  if (!received.includes(event)) throw new Error(`Received ${received}`);
  process.stdout.write(`${redis ? 'Redis' : 'Memory'} works\n`);
})();

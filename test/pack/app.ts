import { Body, Controller, Get, Module, Post, Query, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  heartbeat,
  LastEventId,
  type PublishOptions,
  SseChannel,
  type SseEvent,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { SseHealthIndicator } from 'nestjs-sse-channels/terminus';
import { register } from 'prom-client';
import { map } from 'rxjs';

/** An application that uses every public name, compiled and run against the installed tarball. */
@Controller()
class AppController {
  constructor(
    private readonly sse: SseService,
    private readonly health: HealthCheckService,
    private readonly indicator: SseHealthIndicator,
  ) {}

  @Get('health')
  @HealthCheck()
  check() {
    return this.health.check([() => this.indicator.isHealthy()]);
  }

  @Sse('sse')
  stream(@Query('channel') channel = 'sse', @LastEventId() lastEventId?: string) {
    return this.sse.messages(channel, { lastEventId }).pipe(
      map((event: SseEvent) => ({ ...event, retry: 5 })),
      heartbeat(),
    );
  }

  @SseChannel('channel')
  async channel(@Query('channel') channel = 'sse') {
    return { channel, filter: (event: SseEvent) => event.type !== 'hidden' };
  }

  @Post('publish')
  async publish(@Body() { data, ...options }: PublishOptions & { data: unknown }) {
    return { id: await this.sse.publish(data, options) };
  }
}

@Module({
  imports: [SseModule.forRoot({ metrics: new PrometheusMetrics() }), TerminusModule],
  controllers: [AppController],
  providers: [SseHealthIndicator],
})
class AppModule {}

/** Reads the response until the text has arrived. */
async function readUntil(url: string, text: string, ready: () => Promise<unknown>): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const publishing = setInterval(() => void ready(), 50);
  for (let read = ''; !read.includes(text);) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${url} ended: ${read}`);
    read += value;
  }
  clearInterval(publishing);
  await reader.cancel();
}

async function run(name: string, adapter: ExpressAdapter | FastifyAdapter): Promise<void> {
  const app = await NestFactory.create(AppModule, adapter, { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const post = (body: object) =>
    fetch(`${url}/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const refused = await post({ data: 1, type: 'error' });
  if (refused.status !== 400) throw new Error(`Expected 400, got ${refused.status}`);
  for (const path of ['channel', 'sse']) {
    await post({ data: 'hidden', type: 'hidden', channel: path });
    await readUntil(`${url}/${path}?channel=${path}`, 'data: {"n":1}\n\n', () =>
      post({ data: { n: 1 }, channel: path }),
    );
  }
  const { status } = (await (await fetch(`${url}/health`)).json()) as { status: string };
  if (status !== 'ok') throw new Error(`Expected ok, got ${status}`);
  const figures = await register.metrics();
  if (!figures.includes('sse_redis_state{state="up"} 1')) throw new Error(`Not up: ${figures}`);
  await app.close();
  process.stdout.write(`${name} works\n`);
}

void (async () => {
  await run('Express', new ExpressAdapter());
  await run('Fastify', new FastifyAdapter());
})();

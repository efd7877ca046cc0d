/** An application of the rig: one `@SseChannel` route on the Redis of the first argument. Prints its port. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Controller, Get, Inject, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';

const delay = monitorEventLoopDelay();

class EventsController {
  constructor(sse) {
    this.sse = sse;
  }

  events(channel) {
    return channel;
  }

  /** What is open in this process. */
  resources() {
    const active = {};
    for (const kind of process.getActiveResourcesInfo()) active[kind] = (active[kind] ?? 0) + 1;
    const { user, system } = process.cpuUsage();
    const stallMs = Math.round(delay.max / 1e6);
    delay.reset();
    return {
      ...this.sse.stats(),
      sockets: active.TCPSocketWrap,
      active,
      rss: process.memoryUsage.rss(),
      cpuMs: Math.round((user + system) / 1_000),
      stallMs,
    };
  }

  memory() {
    globalThis.gc();
    const { heapUsed, rss } = process.memoryUsage();
    return { heap: heapUsed, rss };
  }

  /** Keeps the event loop busy. */
  block(ms) {
    const end = Date.now() + Number(ms);
    while (Date.now() < end);
  }
}

function decorate(name, ...decorators) {
  const { prototype } = EventsController;
  for (const decorator of decorators) {
    decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
  }
}

Inject(SseService)(EventsController, undefined, 0);
Param('channel')(EventsController.prototype, 'events', 0);
Param('ms')(EventsController.prototype, 'block', 0);
decorate('events', SseChannel('events/:channel'));
decorate('resources', Get('resources'));
decorate('memory', Get('memory'));
decorate('block', Get('block/:ms'));
Controller()(EventsController);

// oxlint-disable-next-line typescript/no-extraneous-class -- Nest takes its modules for what is written on them
class AppModule {}
const history = JSON.parse(process.argv[3] ?? '{}');
Module({
  imports: [SseModule.forRoot({ redis: process.argv[2], history })],
  controllers: [EventsController],
})(AppModule);

// Whatever nobody has expected ends the process, and so the test.
process.on('warning', (warning) => {
  process.stderr.write(`${warning.stack}\n`);
  process.exit(3);
});
const app = await NestFactory.create(AppModule, { logger: false });
app.enableShutdownHooks([], { useProcessExit: true });
delay.enable();
await app.listen(Number(process.argv[4] ?? 0), '127.0.0.1');
process.stdout.write(`${app.getHttpServer().address().port}\n`);

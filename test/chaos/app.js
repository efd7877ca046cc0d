/** An application of the rig: one `@SseChannel` route on the Redis of the first argument. Prints its port. */
import { Controller, Get, Inject, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';

class EventsController {
  constructor(sse) {
    this.sse = sse;
  }

  events(channel) {
    return channel;
  }

  /** What is open in this process. */
  resources() {
    const sockets = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    return { ...this.sse.stats(), sockets, rss: process.memoryUsage.rss() };
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
app.enableShutdownHooks();
await app.listen(Number(process.argv[4] ?? 0), '127.0.0.1');
process.stdout.write(`${app.getHttpServer().address().port}\n`);

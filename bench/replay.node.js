/** A node for `replay.bench.js`: one `@SseChannel` route, on the Redis of the first argument. Prints its port. */
import 'reflect-metadata';
import { Controller, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SseChannel, SseModule } from 'nestjs-sse-channels';

class EventsController {
  events(channel) {
    return channel;
  }
}
Param('channel')(EventsController.prototype, 'events', 0);
SseChannel(':channel')(
  EventsController.prototype,
  'events',
  Object.getOwnPropertyDescriptor(EventsController.prototype, 'events'),
);
Controller()(EventsController);

class AppModule {}
Module({ imports: [SseModule.forRoot(process.argv[2])], controllers: [EventsController] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: ['error'] });
await app.listen(0);
process.stdout.write(`${app.getHttpServer().address().port}\n`);

/** An application of the rig: `@SseChannel` routes, with the options of the first argument. Prints its port. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
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

  failing(channel) {
    const filter = ({ data }) => {
      if (data.split(' ')[2]?.endsWith('50')) throw new Error('This filter fails');
      return true;
    };
    return { channel, filter };
  }

  /** The open resources of this process. */
  resources() {
    const sockets = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const { user, system } = process.cpuUsage();
    const stallMs = Math.round(delay.max / 1e6);
    delay.reset();
    return {
      ...this.sse.stats(),
      sockets,
      rss: process.memoryUsage.rss(),
      cpuMs: Math.round((user + system) / 1_000),
      stallMs,
    };
  }

  async memory() {
    globalThis.gc();
    const heap = process.memoryUsage().heapUsed;
    // V8 returns pages to the system in the background.
    await sleep(500);
    return { heap, rss: process.memoryUsage.rss() };
  }

  /** Includes timers that do not keep the process alive. Takes seconds if the heap is large. */
  timers() {
    const { constructor } = setTimeout(() => undefined);
    return queryObjects(constructor, { format: 'count' }) - 1;
  }

  /** Blocks the event loop. */
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
Param('channel')(EventsController.prototype, 'failing', 0);
decorate('events', SseChannel('events/:channel'));
decorate('failing', SseChannel('failing/:channel'));
decorate('resources', Get('resources'));
decorate('memory', Get('memory'));
decorate('timers', Get('timers'));
decorate('block', Get('block/:ms'));
Controller()(EventsController);

// oxlint-disable-next-line typescript/no-extraneous-class -- a Nest module needs only its metadata
class AppModule {}
Module({
  imports: [SseModule.forRoot(JSON.parse(process.argv[2]))],
  controllers: [EventsController],
})(AppModule);

// An unexpected warning ends the process, and so fails the test.
process.on('warning', (warning) => {
  // `queryObjects()` of the rig causes this warning.
  if (warning.name === 'ExperimentalWarning') return;
  process.stderr.write(`${warning.stack}\n`);
  process.exit(3);
});
const app = await NestFactory.create(AppModule, { logger: false });
app.enableShutdownHooks([], { useProcessExit: true });
delay.enable();
await app.listen(0, '127.0.0.1');
process.stdout.write(`${app.getHttpServer().address().port}\n`);

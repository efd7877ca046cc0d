/** An application of the rig: `@SseChannel` and `@SseStream` routes, with the options of the first argument. Prints its port. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import { Controller, Get, Inject, Module, Param, Post, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SseChannel, SseModule, SseService, SseStream, SseStreams } from 'nestjs-sse-channels';

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

class StreamsController {
  /** What the producers of this process did, by the number of the run. */
  runs = {};

  constructor(streams) {
    this.streams = streams;
  }

  /** Writes an event every `everyMs`, `count` in total. The other parameters are options of the stream. */
  async start(id, { run, count, everyMs, ...options }) {
    const own = { count: Number(count), written: 0, isAborted: false };
    this.runs[run] = own;
    for (const [name, value] of Object.entries(options)) options[name] = JSON.parse(value);
    const produce = async (out, signal) => {
      signal.addEventListener('abort', () => (own.isAborted = true));
      while (own.written < own.count && !signal.aborted) {
        out.write(`${id} ${own.written++} ${run}`);
        await sleep(Number(everyMs), undefined, { signal }).catch(() => undefined);
      }
    };
    const stream = await this.streams.start(id, produce, options);
    void stream.done.then((end) => (own.end = end));
    return { generation: stream.generation };
  }

  watch(id) {
    return this.streams.attach(id);
  }

  async stop(id, reason) {
    return { answer: await this.streams.abort(id, reason) };
  }

  status(id) {
    return this.streams.status(id);
  }

  produced(run) {
    return this.runs[run];
  }

  /** The producer writes only a few more events. */
  finish(run) {
    const own = this.runs[run];
    own.count = Math.min(own.count, own.written + 30);
    return own;
  }
}

/** @param parameters the decorators of its parameters */
function route({ prototype }, name, decorators, ...parameters) {
  for (const decorator of decorators) {
    decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
  }
  for (const [index, parameter] of parameters.entries()) parameter(prototype, name, index);
}

Inject(SseService)(EventsController, undefined, 0);
route(EventsController, 'events', [SseChannel('events/:channel')], Param('channel'));
route(EventsController, 'failing', [SseChannel('failing/:channel')], Param('channel'));
route(EventsController, 'resources', [Get('resources')]);
route(EventsController, 'memory', [Get('memory')]);
route(EventsController, 'timers', [Get('timers')]);
route(EventsController, 'block', [Get('block/:ms')], Param('ms'));
Controller()(EventsController);

Inject(SseStreams)(StreamsController, undefined, 0);
route(StreamsController, 'start', [Post(':id')], Param('id'), Query());
route(StreamsController, 'watch', [SseStream(), Get(':id')], Param('id'));
route(StreamsController, 'stop', [Post(':id/stop')], Param('id'), Query('reason'));
route(StreamsController, 'status', [Get(':id/status')], Param('id'));
route(StreamsController, 'produced', [Get('runs/:run')], Param('run'));
route(StreamsController, 'finish', [Post('runs/:run/finish')], Param('run'));
Controller('streams')(StreamsController);

// oxlint-disable-next-line typescript/no-extraneous-class -- a Nest module needs only its metadata
class AppModule {}
Module({
  imports: [SseModule.forRoot(JSON.parse(process.argv[2]))],
  controllers: [EventsController, StreamsController],
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

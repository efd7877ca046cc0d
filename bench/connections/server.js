/** One process of an application with a great many idle connections. */
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { Controller, Module, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseChannel, SseModule, SseService } from '../../dist/index.js';
import { answer, options } from '../fanout/ipc.js';
import { decorate } from '../fanout/servers/decorate.js';

class EventsController {
  events() {
    return 'news';
  }
}
decorate(EventsController, 'events', SseChannel('events'), Query());
Controller()(EventsController);

class AppModule {}
const MANY = 1_000_000;
const limits = {
  connections: MANY,
  connectionsPerAddress: MANY,
  resumesPerSecond: MANY,
};
Module({
  imports: [SseModule.forRoot({ redis: options.redis, limits })],
  controllers: [EventsController],
})(AppModule);

const platform = options.adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(AppModule, platform, { logger: ['error', 'warn'] });
await app.listen({ port: 0, host: '0.0.0.0', backlog: 4_096 });
const sse = app.get(SseService);

answer(
  {
    stats: () => sse.stats(),
    cpu: () => process.cpuUsage(),
    memory() {
      globalThis.gc();
      const status = readFileSync('/proc/self/status', 'utf8');
      const bytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) * 1_024;
      // Memory that was moved out is used as well.
      const own = bytes('RssAnon') + bytes('VmSwap');
      return { own, program: bytes('RssFile'), heap: process.memoryUsage().heapUsed };
    },
  },
  { port: app.getHttpServer().address().port },
);

/** A server with default options except for a limit that a bench can reach: a route for channels, and one with an authorizer. */
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Injectable, Module, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseChannel, SseModule, SseService } from '../../dist/index.js';
import { answer, options } from '../fanout/ipc.js';
import { decorate } from '../fanout/servers/decorate.js';

class SlowAuthorizer {
  async authorize() {
    await sleep(100);
    return true;
  }
}
Injectable()(SlowAuthorizer);

class StreamsController {
  channel({ shared }) {
    return shared;
  }

  asked() {
    return 'asked';
  }
}
decorate(StreamsController, 'channel', SseChannel('one'), Query());
decorate(StreamsController, 'asked', SseChannel('asked', { allow: SlowAuthorizer }), Query());
Controller()(StreamsController);

class AppModule {}
Module({
  imports: [
    SseModule.forRoot({
      redis: options.redis,
      limits: { connections: options.limit },
      history: options.history,
    }),
  ],
  controllers: [StreamsController],
  providers: [SlowAuthorizer],
})(AppModule);

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error'] });
await app.listen(0, '127.0.0.1');
const sse = app.get(SseService);
const methods = { stats: () => sse.stats(), cpu: () => process.cpuUsage() };
answer(methods, { port: app.getHttpServer().address().port, pid: process.pid });

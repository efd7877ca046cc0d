/** This module: `@SseChannel`, and `messages()` with Nest's own `@Sse`. */
import 'reflect-metadata';
import { Controller, Module, Query, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseChannel, SseModule, SseService } from '../../../dist/index.js';
import { channelsOf } from '../plan.js';
import { controlOwn, options } from './control.js';
import { decorate } from './decorate.js';

class StreamsController {
  channel(query) {
    return channelsOf(query);
  }

  messages(query) {
    return sse.messages(channelsOf(query));
  }
}
decorate(StreamsController, 'channel', SseChannel(':topology'), Query());
decorate(StreamsController, 'messages', Sse('messages/:topology'), Query());
Controller()(StreamsController);

class AppModule {}
const { redis, adapter, writeIntervalMs } = options;
Module({
  imports: [SseModule.forRoot({ redis, heartbeatMs: 3_600_000, writeIntervalMs })],
  controllers: [StreamsController],
})(AppModule);

const platform = adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(AppModule, platform, { logger: ['error', 'warn'] });
const sse = app.get(SseService);
await app.listen(0, '127.0.0.1');
controlOwn(app.getHttpServer(), (channel, data) => sse.publish(data, { channel }));

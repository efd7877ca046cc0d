/** Nest's own `@Sse()`, over one Subject per channel. */
import 'reflect-metadata';
import { Controller, Module, Query, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { merge, Subject } from 'rxjs';
import { channelsOf } from '../plan.js';
import { control, options } from './control.js';
import { decorate } from './decorate.js';

const subjects = new Map();

function subjectOf(channel) {
  if (!subjects.has(channel)) subjects.set(channel, new Subject());
  return subjects.get(channel);
}

class StreamsController {
  events(query) {
    const [first, ...others] = channelsOf(query).map(subjectOf);
    return others.length === 0 ? first : merge(first, ...others);
  }
}
decorate(StreamsController, 'events', Sse(':topology'), Query());
Controller()(StreamsController);

class AppModule {}
Module({ controllers: [StreamsController] })(AppModule);

const platform = options.adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(AppModule, platform, { logger: ['error', 'warn'] });
await app.listen(0, '127.0.0.1');
await control(app.getHttpServer(), (channel, data) => subjects.get(channel)?.next({ data }));

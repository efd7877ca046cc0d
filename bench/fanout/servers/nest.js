/** Nest's own `@Sse()`, over one Subject per channel; and what a route of Nest costs at least, a `@Get()` that takes the response. */
import 'reflect-metadata';
import { Controller, Get, Module, Query, Res, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { merge, Subject } from 'rxjs';
import { channelsOf } from '../plan.js';
import { control, Groups, options } from './control.js';
import { decorate } from './decorate.js';

const head = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };
const groups = new Groups();
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

  taken(response) {
    response.hijack?.();
    const { raw = response, request: { query } = response.req } = response;
    raw.writeHead(200, head).flushHeaders();
    for (const channel of channelsOf(query)) groups.of(channel).add(raw);
    raw.on('close', () => {
      for (const channel of channelsOf(query)) groups.of(channel).delete(raw);
    });
  }
}
decorate(StreamsController, 'events', Sse(':topology'), Query());
decorate(StreamsController, 'taken', Get('taken/:topology'), Res());
Controller()(StreamsController);

class AppModule {}
Module({ controllers: [StreamsController] })(AppModule);

const platform = options.adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(AppModule, platform, { logger: ['error', 'warn'] });
await app.listen(0, '127.0.0.1');
await control(app.getHttpServer(), (channel, data) => {
  subjects.get(channel)?.next({ data });
  for (const response of groups.of(channel)) response.write(`data: ${JSON.stringify(data)}\n\n`);
});

/**
 * One server, which publishes by itself: this module, or the handler that applications write with `res.write()`, behind a middleware that
 * compresses for each connection.
 */
import 'reflect-metadata';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { constants } from 'node:zlib';
import { PassThrough } from 'node:stream';
import fastifyCompress from '@fastify/compress';
import { Controller, Module, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import compression from 'compression';
import express from 'express';
import fastify from 'fastify';
import { SseChannel, SseModule, SseService } from '../../dist/index.js';
import { answer, options } from '../fanout/ipc.js';
import { decorate } from '../fanout/servers/decorate.js';
import { orderNumber } from './orders.js';

async function startModule(adapter) {
  class StreamsController {
    channel({ channel }) {
      return channel;
    }
  }
  decorate(StreamsController, 'channel', SseChannel('events'), Query());
  Controller()(StreamsController);
  class AppModule {}
  const settings = { heartbeatMs: 3_600_000, compression: options.compression };
  Module({ imports: [SseModule.forRoot(settings)], controllers: [StreamsController] })(AppModule);
  const app = await NestFactory.create(AppModule, adapter, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const sse = app.get(SseService);
  const publish = (events) => Promise.all(events.map(({ channel, data }) => sse.publish(data, { channel })));
  return { server: app.getHttpServer(), publish };
}

const HEADERS = { 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-store' };
const clients = new Map();
const add = (channel, client) => clients.set(channel, [...(clients.get(channel) ?? []), client]);
let count = 0;

/** Each connection gets the events of a turn in one write, which is then flushed. */
function write(events) {
  const texts = new Map();
  for (const { channel, data } of events) {
    const frame = `id: ${Date.now()}-${100_000 + count++}\ndata: ${JSON.stringify(data)}\n\n`;
    texts.set(channel, (texts.get(channel) ?? '') + frame);
  }
  for (const [channel, text] of texts) {
    const bytes = Buffer.from(text);
    for (const client of clients.get(channel)) client(bytes);
  }
}

async function startExpress() {
  const app = express();
  app.use(compression({ threshold: 0, filter: () => true }));
  app.get('/events', (request, response) => {
    response.writeHead(200, HEADERS);
    response.write(':this is a comment\n');
    response.flush();
    add(request.query.channel, (bytes) => {
      response.write(bytes);
      response.flush();
    });
  });
  const server = await new Promise((resolve) => {
    const started = app.listen(0, '127.0.0.1', () => resolve(started));
  });
  return { server, publish: write };
}

async function startFastify() {
  const app = fastify();
  await app.register(fastifyCompress, {
    threshold: 0,
    // By default it compresses no event streams, and holds back what it has compressed.
    customTypes: /^text\/event-stream/,
    zlibOptions: { flush: constants.Z_SYNC_FLUSH },
  });
  app.get('/events', (request, reply) => {
    const stream = new PassThrough();
    // It waits for 10 bytes, to see whether they are compressed.
    stream.write(':this is a comment\n');
    add(request.query.channel, (bytes) => stream.write(bytes));
    return reply.headers(HEADERS).send(stream);
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { server: app.server, publish: write };
}

const START = {
  express: () => startModule(new ExpressAdapter()),
  fastify: () => startModule(new FastifyAdapter()),
  compression: startExpress,
  'fastify-compress': startFastify,
};
const { server, publish } = await START[options.server]();
const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

const methods = {
  /** Publishes the events of a turn to each of the channels. */
  turn: ({ first, perTurn, size, channels }) =>
    publish(
      channels.flatMap((channel) =>
        Array.from({ length: perTurn }, (_, n) => ({ channel, data: orderNumber(first + n, size) })),
      ),
    ),
  /** Publishes events that a client misses. @returns the id of the event before them */
  async miss({ missed, size }) {
    const data = Array.from({ length: missed + 1 }, (_, n) => orderNumber(n, size));
    const [id] = await publish(data.map((order) => ({ channel: 'all', data: order })));
    return id;
  },
  /** In ms, since the last call. */
  longestTurn() {
    const ms = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
    delay.reset();
    return ms;
  },
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  memory() {
    globalThis.gc();
    return process.memoryUsage().rss;
  },
};
answer(methods, { port: server.address().port });

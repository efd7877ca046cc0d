import type { ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { expect } from '@jest/globals';
import {
  Controller,
  Get,
  Headers,
  HttpCode,
  type INestApplication,
  type NestApplicationOptions,
  Param,
  Query,
  Res,
  Sse,
} from '@nestjs/common';
import type { ExpressAdapter } from '@nestjs/platform-express';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { fromQuery, LastEventId, SseChannel, SseService } from 'nestjs-sse-channels';
import {
  collect,
  type CollectedEvent,
  CollectError,
  type CollectOptions,
  SseTestingModule,
  SseTestingService,
} from 'nestjs-sse-channels/testing';
import { closeAfterTest } from './nest-module.js';
import { until } from './until.js';

type AnyResponse = ServerResponse & { raw?: ServerResponse; hijack?(): void };

/** Takes over a response and sends the response headers of an event stream. */
function begin(response: AnyResponse): ServerResponse {
  response.hijack?.();
  return (response.raw ?? response).writeHead(200, { 'content-type': 'Text/Event-Stream;charset=utf-8' });
}

@Controller()
class CollectController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('orders/:id')
  order(@Param('id') id: string) {
    return `order:${id}`;
  }

  @Sse('nest/:id')
  nest(@Param('id') id: string, @LastEventId() lastEventId?: string) {
    return this.sse.messages(`order:${id}`, { lastEventId });
  }

  @SseChannel('secret', { channel: fromQuery, allow: ['news'] })
  secret() {}

  @Get('chunks')
  chunks(@Res() response: AnyResponse, @Query('of') chunks: string[]) {
    const raw = begin(response);
    for (const chunk of [chunks].flat()) raw.write(chunk);
    raw.end();
  }

  @Get('request')
  request(@Res() response: AnyResponse, @Headers() headers: object) {
    begin(response).end(`data: ${JSON.stringify(headers)}\n\n`);
  }

  @Get('broken')
  broken(@Res() response: AnyResponse) {
    const raw = begin(response);
    raw.write('data: 1\n\n', () => raw.destroy());
  }

  @Get('silent')
  silent(@Res() response: AnyResponse) {
    response.hijack?.();
  }

  @Get('page')
  page() {
    return '<html>'.padEnd(2_000, 'x');
  }

  @Get('endless-page')
  endlessPage(@Res() response: AnyResponse) {
    response.hijack?.();
    (response.raw ?? response).writeHead(502, { 'content-type': 'text/html' }).write('<html>');
  }

  @Get('broken-page')
  brokenPage(@Res() response: AnyResponse) {
    response.hijack?.();
    const raw = (response.raw ?? response).writeHead(500, { 'content-type': 'text/html' });
    raw.write('<html>', () => raw.destroy());
  }

  @Get('hang-up')
  hangUp(@Res() response: AnyResponse) {
    response.hijack?.();
    (response.raw ?? response).destroy();
  }

  @Get('nothing')
  @HttpCode(204)
  nothing() {}
}

/** An application that does not listen yet. It is closed after the test. */
export async function createCollectApp(
  adapter: ExpressAdapter | FastifyAdapter,
  options: NestApplicationOptions = {},
) {
  const builder = Test.createTestingModule({
    imports: [SseTestingModule.forRoot()],
    controllers: [CollectController],
  });
  const app = (await builder.compile()).createNestApplication(adapter, { logger: false, ...options });
  return { app: closeAfterTest(app), sse: app.get(SseTestingService) };
}

export const dataOf = (events: readonly CollectedEvent[]) => events.map(({ data }) => data);

/** The path of a response that consists of these chunks. */
export const pathOf = (...chunks: string[]) =>
  `/chunks?${new URLSearchParams(chunks.map((chunk) => ['of', chunk]))}`;

/** Waits until the server of the application has no connection. */
export async function expectClosed(app: INestApplication) {
  const server = app.getHttpServer() as Server;
  const count = () =>
    new Promise<number>((resolve) => server.getConnections((error, number) => resolve(error ? -1 : number)));
  await until(count, (number) => number === 0);
}

/** Waits until `collect()` rejects and its connection is closed. */
export async function failureOf(
  app: INestApplication,
  path: string,
  options?: CollectOptions,
): Promise<CollectError> {
  const error: unknown = await collect(app, path, options).then(
    () => new Error('It did not reject'),
    (reason: unknown) => reason,
  );
  await expectClosed(app);
  expect(error).toBeInstanceOf(CollectError);
  return error as CollectError;
}

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { Controller, Get, type INestApplication } from '@nestjs/common';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';

@Controller()
class Routes {
  @SseChannel('events')
  events() {
    return 'news';
  }
  @Get('plain')
  plain() {
    return 'plain';
  }
}

export type Listener = (request: IncomingMessage, response: ServerResponse) => void;

export async function startDetaching(platform: Platform, configure?: (app: INestApplication) => void) {
  const metadata = { imports: [SseModule.forRoot({ heartbeatMs: 1_000 })], controllers: [Routes] };
  const { app, url } = await startApp(platform, metadata, configure);
  const server = app.getHttpServer() as Server;
  return { app, url, server, port: Number(new URL(url).port), sse: app.get(SseService) };
}

/** What the server has of the next request. */
export function observe(server: Server) {
  const seen: { request?: IncomingMessage; response?: ServerResponse } = {};
  server.once('request', ((request, response) => Object.assign(seen, { request, response })) as Listener);
  return seen as { request: IncomingMessage; response: ServerResponse };
}

/** A client of one connection, with the text that it has read. */
export function openSocket(port: number, path = 'events') {
  const socket = connectSocket(port, '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk)).on('error', () => undefined);
  const ask = (of = path) => socket.write(`GET /${of} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  ask();
  return { socket, ask, text: () => text };
}

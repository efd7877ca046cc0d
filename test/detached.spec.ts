import { channel } from 'node:diagnostics_channel';
import { Agent, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, platforms, startApp } from './support/app.js';
import { until } from './support/until.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

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

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

async function start(platform: Platform, configure?: (app: INestApplication) => void) {
  const metadata = { imports: [SseModule.forRoot({ heartbeatMs: 1_000 })], controllers: [Routes] };
  const { app, url } = await startApp(platform, metadata, configure);
  const server = app.getHttpServer() as Server;
  return { app, url, server, port: Number(new URL(url).port), sse: app.get(SseService) };
}

/** What the server has of the next request. */
function observe(server: Server) {
  const seen: { request?: IncomingMessage; response?: ServerResponse } = {};
  server.once('request', ((request, response) => Object.assign(seen, { request, response })) as Listener);
  return seen as { request: IncomingMessage; response: ServerResponse };
}

/** A client of one connection, with the text that it has read. */
function open(port: number, path = 'events') {
  const socket = connectSocket(port, '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk)).on('error', () => undefined);
  const ask = (of = path) => socket.write(`GET /${of} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  ask();
  return { socket, ask, text: () => text };
}

describe.each(platforms)('A connection on %s', (name, platform) => {
  it('keeps nothing of its request and response, and delivers', async () => {
    const { port, server, sse } = await start(platform);
    let kept = 0;
    const registry = new FinalizationRegistry(() => kept--);
    server.on('request', ((request, response) => {
      for (const each of [request, response]) {
        registry.register(each, undefined);
        kept++;
      }
    }) as Listener);
    const clients = Array.from({ length: 20 }, () => open(port));
    await until(() => clients.every(({ text }) => text().includes('sse.open')));
    expect(kept).toBeGreaterThan(0);
    await until(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
      // Those of the last request may be kept until the next one.
      return kept <= 4;
    });
    await sse.publish('first', { channel: 'news' });
    await until(() => clients.every(({ text }) => text().includes('data: first\n\n')));
    await until(() => clients.every(({ text }) => text().includes('\r\n:\n\r\n')));
  });

  it('serves the next request when it has been ended', async () => {
    const { server, sse } = await start(platform);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { port } = server.address() as { port: number };
    const ask = (path: string) =>
      new Promise<IncomingMessage>((resolve) => get({ port, path, agent }, resolve));
    const sockets = new Set<unknown>();
    const warnings: unknown[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    // More often than a socket may have listeners of one event.
    for (let n = 0; n < 12; n++) {
      const response = await ask('/events');
      sockets.add(response.socket);
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      await until(() => text.includes('sse.open'));
      await sse.disconnect({ channel: 'news' }, { refuseMs: 0 });
      await once(response, 'end');
      const plain = await ask('/plain');
      sockets.add(plain.socket);
      plain.resume();
      await once(plain, 'end');
    }
    process.off('warning', onWarning);
    expect([sockets.size, warnings, sse.connections()]).toEqual([1, [], []]);
    agent.destroy();
  });

  it('ends for a request that the client sends behind it, which is answered', async () => {
    const { port, sse } = await start(platform);
    const { ask, text, socket } = open(port);
    await until(() => text().includes('sse.open'));
    ask('plain');
    await until(() => text().endsWith('plain'));
    expect(text()).toContain('\r\n0\r\n\r\nHTTP/1.1 200');
    expect(sse.connections()).toEqual([]);
    ask('events');
    await until(() => text().split('sse.open').length === 3);
    await sse.publish('more', { channel: 'news' });
    await until(() => text().includes('data: more\n\n'));
    socket.destroy();
  });

  it.each<[string, (client: ReturnType<typeof open>['socket']) => void]>([
    ['closes', (socket) => socket.destroy()],
    ['closes its side', (socket) => socket.end()],
    ['resets', (socket) => socket.resetAndDestroy()],
  ])('ends when the client %s', async (_, leave) => {
    const { port, sse, server } = await start(platform);
    const reasons: string[] = [];
    sse.onDisconnect(({ reason }) => reasons.push(reason));
    const { socket, text } = open(port);
    await until(() => text().includes('sse.open'));
    leave(socket);
    await until(() => reasons.length > 0);
    expect(reasons).toEqual(['client']);
    await until(async () => (await connectionsOf(server)) === 0);
  });

  it('is closed by the server', async () => {
    const { port, server, sse } = await start(platform);
    const { socket, text } = open(port);
    await until(() => text().includes('sse.open'));
    server.closeAllConnections();
    await until(() => socket.closed);
    expect(sse.connections()).toEqual([]);
  });

  it('lets code that still has the response see its end, and end it', async () => {
    const { port, server, sse } = await start(platform);
    for (const end of ['end', 'destroy'] as const) {
      const seen = observe(server);
      const { text, socket } = open(port);
      await until(() => text().includes('sse.open'));
      await until(() => seen.response.socket === null);
      let closed = 0;
      seen.response.on('close', () => closed++);
      seen.response[end]();
      await until(() => closed > 0);
      expect([closed, seen.response.destroyed, sse.connections()]).toEqual([1, true, []]);
      if (end === 'end') expect(text()).toMatch(/\r\n0\r\n\r\n$/);
      else await until(() => socket.closed);
    }
  });

  it.each<[string, (server: Server) => () => void]>([
    [
      'a listener of the response',
      (server) => {
        let isClosed = false;
        server.on('request', ((_, response) => response.on('close', () => (isClosed = true))) as Listener);
        return () => expect(isClosed).toBe(true);
      },
    ],
    [
      'a listener of the request',
      (server) => {
        let isClosed = false;
        server.on('request', ((request) => request.on('close', () => (isClosed = true))) as Listener);
        return () => expect(isClosed).toBe(true);
      },
    ],
    [
      'a monitor of all requests',
      () => {
        const onFinish = () => undefined;
        const finished = channel('http.server.response.finish');
        finished.subscribe(onFinish);
        return () => finished.unsubscribe(onFinish);
      },
    ],
    ['a listener of CONNECT', (server) => (server.on('connect', () => undefined), () => undefined)],
  ])('keeps its response for %s', async (_, prepare) => {
    const { port, server, sse } = await start(platform);
    const check = prepare(server);
    const seen = observe(server);
    const { text, socket } = open(port);
    await until(() => text().includes('sse.open'));
    await sse.publish('first', { channel: 'news' });
    await until(() => text().includes('data: first\n\n'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen.response.socket).not.toBeNull();
    socket.destroy();
    await until(() => sse.connections().length === 0 && seen.response.destroyed);
    check();
  });

  if (name === 'Fastify') {
    it('runs the hooks of Fastify at its end', async () => {
      const ended: number[] = [];
      const { port, sse } = await start(platform, (app) => {
        const { instance } = (app as NestFastifyApplication).getHttpAdapter() as never as {
          instance: { addHook(name: string, hook: (...args: never[]) => Promise<void>): void };
        };
        instance.addHook('onResponse', async (_: never, reply: { statusCode: number }) => {
          ended.push(reply.statusCode);
        });
      });
      const { text } = open(port);
      await until(() => text().includes('sse.open'));
      expect(ended).toEqual([]);
      await sse.disconnect({ channel: 'news' });
      await until(() => ended.length > 0);
      expect(ended).toEqual([200]);
    });
  }
});

const connectionsOf = (server: Server) =>
  new Promise<number>((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );

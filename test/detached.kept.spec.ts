import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server } from 'node:http';
import { Agent as SecureAgent, get as getSecurely } from 'node:https';
import { describe, expect, it } from '@jest/globals';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { platforms } from './support/app.js';
import { type Listener, observe, openSocket, startDetaching } from './support/detaching-app.js';
import { until } from './support/until.js';

describe.each(platforms)('A connection on %s', (name, platform) => {
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
      'middleware that replaces `end()`',
      (server) => {
        server.on('request', ((_, response) => {
          response.end = response.end.bind(response);
        }) as Listener);
        return () => undefined;
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
    const { port, server, sse } = await startDetaching(platform);
    const check = prepare(server);
    const seen = observe(server);
    const { text, socket } = openSocket(port);
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
      const { port, sse } = await startDetaching(platform, (app) => {
        const { instance } = (app as NestFastifyApplication).getHttpAdapter() as never as {
          instance: { addHook(name: string, hook: (...args: never[]) => Promise<void>): void };
        };
        instance.addHook('onResponse', async (_: never, reply: { statusCode: number }) => {
          ended.push(reply.statusCode);
        });
      });
      const { text } = openSocket(port);
      await until(() => text().includes('sse.open'));
      expect(ended).toEqual([]);
      await sse.disconnect({ channel: 'news' });
      await until(() => ended.length > 0);
      expect(ended).toEqual([200]);
    });

    it('logs its end, whatever the logger', async () => {
      const lines: unknown[] = [];
      const log = (_: unknown, text: unknown) => lines.push(text);
      const loggerInstance = {
        info: log,
        error: log,
        warn: log,
        debug: log,
        fatal: log,
        trace: log,
        child: () => own,
      };
      const own = { ...loggerInstance, info: (...args: unknown[]) => lines.push(args[1]) };
      const { port, sse } = await startDetaching(() => new FastifyAdapter({ loggerInstance: own } as never));
      const { text } = openSocket(port);
      await until(() => text().includes('sse.open'));
      await new Promise((resolve) => setImmediate(resolve));
      await sse.disconnect({ channel: 'news' });
      await until(() => lines.includes('request completed'));
    });
  }
});

it('A connection over TLS serves the next request when it has been ended', async () => {
  const https = {
    cert: readFileSync('test/support/tls/cert.pem'),
    key: readFileSync('test/support/tls/key.pem'),
  };
  const { server, sse } = await startDetaching(() => new FastifyAdapter({ https }));
  const agent = new SecureAgent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  const { port } = server.address() as { port: number };
  const ask = (path: string) =>
    new Promise<IncomingMessage>((resolve) => getSecurely({ port, path, agent }, resolve));
  const sockets = new Set<unknown>();
  for (let n = 0; n < 3; n++) {
    const seen = observe(server);
    const response = await ask('/events');
    sockets.add(response.socket);
    let text = '';
    response.on('data', (chunk) => (text += String(chunk)));
    await until(() => text.includes('sse.open') && seen.response.socket === null);
    await sse.publish('secure', { channel: 'news' });
    await until(() => text.includes('data: secure'));
    await sse.disconnect({ channel: 'news' }, { refuseMs: 0 });
    await once(response, 'end');
    const plain = await ask('/plain');
    plain.resume();
    await once(plain, 'end');
  }
  expect([sockets.size, sse.connections()]).toEqual([1, []]);
  agent.destroy();
});

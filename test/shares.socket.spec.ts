import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { SseLimits } from 'nestjs-sse-channels';
import { startLimited, trusting } from './support/limited-app.js';
import { until } from './support/until.js';

const pipeline = (url: string, paths: string[]) => {
  const socket = connectSocket(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk)).on('error', () => undefined);
  socket.write(paths.map((path) => `GET /${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
  return { socket, text: () => text };
};

describe.each(trusting)('Pipelined requests on %s', (_, platform, configure) => {
  it('open one connection: the request behind it gets 503, and the socket closes', async () => {
    const { url, sse } = await startLimited(platform, {}, {}, configure);
    const { socket, text } = pipeline(
      url,
      Array.from({ length: 200 }, (__, n) => `teams/${n}`),
    );
    let most = 0;
    await until(() => {
      most = Math.max(most, sse.connections().length, sse.stats().connections);
      return socket.closed;
    });
    expect(most).toBeLessThanOrEqual(1);
    expect(
      text()
        .match(/HTTP\/1\.1 \d+/g)!
        .slice(0, 2),
    ).toEqual(['HTTP/1.1 200', 'HTTP/1.1 503']);
    await until(() => sse.connections().length === 0 && sse.stats().connections === 0);
  });

  it('open no further connection if they arrive later', async () => {
    const { url, sse } = await startLimited(platform, {}, {}, configure);
    const { socket, text } = pipeline(url, ['channel']);
    await until(() => text().includes('sse.open'));
    for (let n = 0; n < 5; n++) socket.write('GET /channel HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => socket.closed);
    expect(sse.stats().refused).toBe(0);
    await until(() => sse.connections().length === 0);
  });

  it('also close the socket behind event streams of Nest', async () => {
    const { url, sse } = await startLimited(platform, {}, {}, configure);
    const { socket } = pipeline(url, ['sse', 'sse', 'sse', 'channel', 'sse']);
    await until(() => socket.closed);
    await until(() => sse.connections().length === 0);
  });
});

describe('The share of an HTTP/2 session', () => {
  const start = async (limits: SseLimits) => {
    const platform = () => new FastifyAdapter({ http2: true, trustProxy: true });
    const { url, sse } = await startLimited(platform, limits);
    const open = (count: number, address = '10.0.0.1') => {
      const session = connectHttp2(url);
      for (let n = 0; n < count; n++) {
        const headers = { ':path': `/teams/${n}`, 'x-forwarded-for': address };
        session
          .request(headers)
          .on('error', () => undefined)
          .resume();
      }
      return session;
    };
    return { sse, open };
  };

  it('is 100 connections for each client address', async () => {
    const { sse, open } = await start({});
    const sessions = [open(150)];
    await until(() => sse.connections().length + sse.stats().refused === 150);
    expect(sse.connections()).toHaveLength(100);
    sessions.push(open(20));
    await until(() => sse.connections().length === 120);
    for (const session of sessions) session.destroy();
    await until(() => sse.connections().length === 0);
  });

  it('is the configured number of connections, for each client that a proxy has on the session', async () => {
    const { sse, open } = await start({ connectionsPerSession: 2 });
    const session = open(3);
    await until(() => sse.connections().length + sse.stats().refused === 3);
    expect(sse.connections()).toHaveLength(2);
    for (const path of ['/teams/1', '/teams/2', '/teams/3']) {
      const request = session.request({ ':path': path, 'x-forwarded-for': '10.0.0.2' });
      // The session may be destroyed before the server has closed the refused one.
      request.on('error', () => undefined).resume();
    }
    await until(() => sse.stats().refused === 2);
    expect(sse.connections()).toHaveLength(4);
    session.destroy();
    await until(() => sse.connections().length === 0);
  });
});

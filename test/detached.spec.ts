import { once } from 'node:events';
import { Agent, get, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { type Listener, observe, openSocket, startDetaching } from './support/detaching-app.js';
import { until } from './support/until.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe.each(platforms)('A connection on %s', (_, platform) => {
  it('keeps nothing of its request and response, and delivers', async () => {
    const { port, server, sse } = await startDetaching(platform);
    let kept = 0;
    const registry = new FinalizationRegistry(() => kept--);
    server.on('request', ((request, response) => {
      for (const each of [request, response]) {
        registry.register(each, undefined);
        kept++;
      }
    }) as Listener);
    const clients = Array.from({ length: 20 }, () => openSocket(port));
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
    const { server, sse } = await startDetaching(platform);
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
    const { port, sse } = await startDetaching(platform);
    const reasons: string[] = [];
    sse.onDisconnect(({ reason }) => reasons.push(reason));
    const { ask, text, socket } = openSocket(port);
    await until(() => text().includes('sse.open'));
    ask('plain');
    await until(() => text().endsWith('plain'));
    expect(text()).toContain('\r\n0\r\n\r\nHTTP/1.1 200');
    expect(reasons).toEqual(['client']);
    expect(sse.connections()).toEqual([]);
    ask('events');
    await until(() => text().split('sse.open').length === 3);
    await sse.publish('more', { channel: 'news' });
    await until(() => text().includes('data: more\n\n'));
    socket.destroy();
  });

  it.each<[string, (client: ReturnType<typeof openSocket>['socket']) => void]>([
    ['closes', (socket) => socket.destroy()],
    ['closes its side', (socket) => socket.end()],
    ['resets', (socket) => socket.resetAndDestroy()],
  ])('ends when the client %s', async (__, leave) => {
    const { port, sse, server } = await startDetaching(platform);
    const reasons: string[] = [];
    sse.onDisconnect(({ reason }) => reasons.push(reason));
    const { socket, text } = openSocket(port);
    await until(() => text().includes('sse.open'));
    leave(socket);
    await until(() => reasons.length > 0);
    expect(reasons).toEqual(['client']);
    await until(async () => (await connectionsOf(server)) === 0);
  });

  it('gets what was written before its client closed its side, and nothing more', async () => {
    const { port, server, sse } = await startDetaching(platform);
    const [connection, seen] = [once(server, 'connection'), observe(server)];
    const { socket, text } = openSocket(port);
    const errors: unknown[] = [];
    socket.on('error', (error) => errors.push(error));
    const [peer] = (await connection) as [Socket];
    await until(() => text().includes('sse.open'));
    await until(() => seen.response.socket === null);
    socket.pause();
    await until(async () => {
      await sse.publish('x'.repeat(100_000), { channel: 'news' });
      return peer.writableLength > 0;
    });
    socket.end();
    await until(() => peer.writableEnded);
    await sse.publish('late', { channel: 'news' });
    seen.response.end();
    const closed = once(socket, 'close');
    socket.resume();
    await closed;
    expect([errors, peer.errored]).toEqual([[], null]);
    expect(text()).toMatch(/x\n\n\r\n$/);
  });

  it('is closed by the server', async () => {
    const { port, server, sse } = await startDetaching(platform);
    const { socket, text } = openSocket(port);
    await until(() => text().includes('sse.open'));
    server.closeAllConnections();
    await until(() => socket.closed);
    expect(sse.connections()).toEqual([]);
  });

  it('can be ended and destroyed by code that still has its response', async () => {
    const { port, server, sse } = await startDetaching(platform);
    for (const end of ['end', 'destroy'] as const) {
      const seen = observe(server);
      const { text, socket } = openSocket(port);
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
});

const connectionsOf = (server: Server) =>
  new Promise<number>((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );

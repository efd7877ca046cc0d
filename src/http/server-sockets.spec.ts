import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { finished } from 'node:stream/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/until.js';
import { SharedBatch } from './batch.js';
import { Frame } from './frame.js';
import { ResponseWriter } from './response-writer.js';
import type { Writer } from './writer.js';

const FIRST = new SharedBatch().with(new Frame('data: first\n\n'));
const LAST = '\r\n0\r\n\r\n';

/** `writer` is that of the detached response; undefined where it was kept. */
type Stream = { response: ServerResponse; writer: Writer | undefined; isOver(): boolean };

const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0))
    await new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
});

/** A server whose `/stream` is an event stream, as the module writes it, and whose other requests are answered by `answer`. */
async function listen(
  options: ServerOptions = {},
  answer = (response: ServerResponse) => void response.end('plain'),
) {
  const streams: Stream[] = [];
  const server = createServer({ keepAliveTimeout: 60_000, ...options }, (request, response) => {
    if (request.url !== '/stream') return answer(response);
    let isOver = false;
    const stream: Stream = { response, writer: undefined, isOver: () => isOver };
    const owner = { complete: () => stream.writer?.end(), onClosed: () => void (isOver = true) };
    const writer = new ResponseWriter(response, FIRST, owner);
    writer.begin();
    writer.write(FIRST);
    setImmediate(() => {
      stream.writer = writer.detached(() => false);
      streams.push(stream);
    });
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = (first = 'GET /stream HTTP/1.1\r\nHost: a\r\n\r\n') => {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    let text = '';
    socket.on('data', (data: string) => (text += data)).on('error', () => undefined);
    socket.write(first);
    const ask = (path: string) => socket.write(`GET /${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return { socket, ask, text: () => text };
  };
  /** A client with a stream whose response is detached. */
  const begin = async (first?: string) => {
    const made = client(first);
    await until(() => streams.length > 0 && made.text().includes('data: first'));
    return { ...made, ...streams.pop()! };
  };
  return { server, client, begin };
}

/** The socket of a stream that has ended. */
async function end({ writer, text }: { writer: Writer | undefined; text: () => string }): Promise<void> {
  writer!.end();
  await until(() => text().endsWith(LAST));
}

describe('A socket whose event stream has ended', () => {
  it('serves further requests and streams', async () => {
    const { begin } = await listen();
    const one = await begin();
    await end(one);
    one.ask('plain');
    await until(() => one.text().endsWith('plain'));
    // The socket is not that of the first stream any more.
    one.writer!.destroy();
    one.ask('stream');
    await until(() => one.text().split('data: first').length > 3);
  });

  it('is no new connection for the application', async () => {
    const { server, begin } = await listen();
    let count = 0;
    server.on('connection', () => count++);
    const one = await begin();
    await end(one);
    one.ask('plain');
    await until(() => one.text().endsWith('plain'));
    expect(count).toBe(1);
  });

  it('is not taken for one with a slow request, however long it waits', async () => {
    const short = { headersTimeout: 200, requestTimeout: 200, connectionsCheckingInterval: 20 };
    const { begin, client } = await listen(short);
    const one = await begin();
    await end(one);
    const slow = client('GET /');
    await until(() => slow.text().includes('408'));
    one.ask('plain');
    await until(() => one.text().endsWith('plain'));
  });

  it('is closed when the server keeps it no longer', async () => {
    const { begin } = await listen({ keepAliveTimeout: 50 });
    const one = await begin();
    await end(one);
    await until(() => one.socket.closed);
  });

  it('may take longer for a further request than the server waits for one', async () => {
    const { server, begin } = await listen({ keepAliveTimeout: 50 }, (response) => {
      server.closeIdleConnections();
      setTimeout(() => response.end('plain'), 2_000);
    });
    const one = await begin();
    await end(one);
    one.ask('plain');
    await until(() => one.text().endsWith('plain'));
  });

  it.each<[string, ServerOptions & { maxRequestsPerSocket?: number }, string]>([
    ['the client says so', {}, 'Connection: close\r\n'],
    ['the server counts its requests', { maxRequestsPerSocket: 5 }, ''],
  ])('is closed if %s', async (_, { maxRequestsPerSocket = 0, ...options }, header) => {
    const { server, begin } = await listen(options);
    server.maxRequestsPerSocket = maxRequestsPerSocket;
    const one = await begin(`GET /stream HTTP/1.1\r\nHost: a\r\n${header}\r\n`);
    await end(one);
    await until(() => one.socket.closed);
  });

  it('is closed with its server', async () => {
    const { server, begin } = await listen();
    const [idle, streaming] = [await begin(), await begin()];
    await end(idle);
    const closed = once(server, 'close');
    server.close();
    await until(() => idle.socket.closed);
    await end(streaming);
    await closed;
  });

  it('is closed with the idle connections of its server, and no other', async () => {
    const [{ server, begin }, other] = [await listen(), await listen()];
    const [idle, streaming, foreign] = [await begin(), await begin(), await other.begin()];
    await end(idle);
    await end(foreign);
    server.closeIdleConnections();
    await until(() => idle.socket.closed);
    server.closeAllConnections();
    await until(() => streaming.socket.closed && streaming.isOver());
    foreign.ask('plain');
    await until(() => foreign.text().endsWith('plain'));
  });

  it('serves requests in a context of their own', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const { begin } = await listen({}, (response) => {
      seen.push(storage.getStore());
      response.end('plain');
    });
    for (const isUnread of [false, true]) {
      const one = await begin();
      const finish = one.writer!.end.bind(one.writer);
      one.writer!.end = () => storage.run('admin', finish);
      // A request behind the stream ends it, too.
      if (isUnread) one.ask('plain');
      else one.writer!.end();
      await until(() => one.text().includes(LAST.trim()));
      if (!isUnread) one.ask('plain');
      await until(() => one.text().endsWith('plain'));
    }
    expect(seen).toEqual([undefined, undefined]);
  });
});

describe('A socket with an event stream', () => {
  it('keeps its response if a part of the next request has arrived', async () => {
    const { begin, server } = await listen();
    const one = await begin('GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /pl');
    expect(one.writer).toBeUndefined();
    one.socket.write('ain HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(server, 'request');
    one.response.end();
    await until(() => one.text().endsWith('plain'));
  });

  it('keeps its response if that has ended, and the client gets the rest', async () => {
    const { server, client } = await listen();
    server.removeAllListeners('request').on('request', (_, response: ServerResponse) => {
      const owner = { complete() {}, onClosed() {} };
      const writer = new ResponseWriter(response, FIRST, owner);
      writer.begin();
      writer.write(FIRST);
      setImmediate(() => {
        response.socket!.cork();
        writer.end();
        expect(writer.detached(() => false)).toBeUndefined();
        response.socket!.uncork();
      });
    });
    const { text } = client();
    await until(() => text().endsWith(LAST));
  });

  it('goes on if the client sends empty lines', async () => {
    const { begin } = await listen();
    const one = await begin();
    one.socket.write('\r\n');
    const { socket } = one.response.req;
    await until(() => socket.bytesRead > 33);
    // A turn for the server to act on them.
    await new Promise((resolve) => setImmediate(resolve));
    one.writer!.write(FIRST);
    await until(() => one.text().split('data: first').length === 4);
    expect(one.text()).not.toContain(LAST);
  });
});

describe('A response that is detached', () => {
  it('can be written to, and ended', async () => {
    const { begin } = await listen();
    const { response, text } = await begin();
    const calls: string[] = [];
    response.on('finish', () => calls.push('finish')).on('close', () => calls.push('close'));
    response.req.on('close', () => calls.push('close of the request'));
    response.write('');
    response.write(': ü\n', () => calls.push('written'));
    response.write('3a20610a', 'hex');
    const ended = finished(response);
    response.end(': end\n', () => calls.push('ended'));
    await ended;
    await until(() => text().endsWith(`\r\n6\r\n: end\n${LAST}`));
    expect(Buffer.from(text(), 'latin1').toString()).toContain('5\r\n: ü\n\r\n4\r\n: a\n\r\n');
    expect(calls.toSorted()).toEqual(['close', 'close of the request', 'ended', 'finish', 'written']);
    expect(response.writableEnded).toBe(true);
  });

  it('is aborted if the client leaves', async () => {
    const { begin } = await listen();
    const { response, socket } = await begin();
    const ended = finished(response);
    socket.destroy();
    await expect(ended).rejects.toThrow('Premature close');
    expect(response.writableEnded).toBe(false);
  });
});

import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { until } from '../../test/support/until.js';
import { ChannelEvent } from '../channel/channel-event.js';
import { Batch } from './batch.js';
import { EventStream } from './event-stream.js';
import { Frame } from './frame.js';
import { Outbox } from './outbox.js';

describe('An event stream', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const outbox = new Outbox();
  const event = (data: string) =>
    new ChannelEvent('c', { id: data, json: JSON.stringify(data), size: data.length }, '');
  let server: Server;
  let cut: number;

  beforeEach(async () => {
    cut = 0;
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });

  async function request(
    through = agent,
  ): Promise<{ response: ServerResponse; answer: Promise<IncomingMessage> }> {
    const port = (server.address() as AddressInfo).port;
    const answer = once(get({ port, agent: through }), 'response');
    const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
    return { response, answer: answer.then(([message]) => message as IncomingMessage) };
  }

  const streamOn = (response: ServerResponse, retry = 'retry: 1\n\n') =>
    new EventStream(response, outbox, {
      number: 0,
      channels: ['c'],
      resumes: true,
      retry: new Batch().with(new Frame(retry)),
      dueAt: Infinity,
      onCut: () => cut++,
    });

  it('writes nothing behind its end, where the next answer on the connection begins', async () => {
    const first = await request();
    const stream = streamOn(first.response);
    stream.open('1-1', []);
    await turn();
    stream.next(event('a'));
    await turn();
    stream.complete();
    stream.next(event('late'));
    stream.heartbeat();
    await turn();
    expect(await text(await first.answer)).toBe('retry: 1\n\nid: a\ndata: a\n\n');
    const second = await request();
    second.response.end('the next answer');
    expect(await text(await second.answer)).toBe('the next answer');
    expect(second.response.req.socket).toBe(first.response.req.socket);
  });

  it('begins each turn anew, so that what the last one brought can be forgotten', async () => {
    const nobody = { flush: () => undefined };
    const before = outbox.begin(nobody);
    await turn();
    expect(outbox.begin(nobody)).not.toBe(before);
    await turn();
  });

  it('has a heartbeat for a client that is quiet, and none for one that something waits for', async () => {
    const { response, answer } = await request();
    const message = await Promise.race([answer, turn()]);
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const sent = stream.sent;
    stream.heartbeat();
    await turn();
    expect(stream.sent).toBeGreaterThan(sent);
    (message ?? (await answer)).pause();
    // Until the buffers of the kernel are full.
    while (stream.pending === 0) {
      stream.next(event('x'.repeat(100_000)));
      await turn();
    }
    const waiting = stream.sent;
    stream.heartbeat();
    await turn();
    expect(stream.sent).toBe(waiting);
  });

  it.each<[string, (stream: EventStream) => unknown]>([
    ['at the end of a turn', (stream) => stream.flush()],
    ['with a page of history', (stream) => stream.drained()],
    ['at its end', (stream) => stream.complete()],
  ])('is ended by a write that fails %s, and throws nothing', async (_, write) => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    const { response, answer } = await request();
    answer.catch(() => undefined);
    response.write = () => {
      throw new Error('This write fails');
    };
    const stream = streamOn(response);
    stream.open('1-1', []);
    expect(() => write(stream)).not.toThrow();
    expect(response.destroyed).toBe(true);
    expect(logged).toHaveBeenCalledTimes(1);
    logged.mockRestore();
  });

  it('is behind with more than 512 KiB unread, until the client has read all of it', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    while (stream.pending <= 524_288) {
      expect(stream.isBehind).toBe(false);
      stream.next(event('x'.repeat(100_000)));
      await turn();
    }
    expect(stream.isBehind).toBe(true);
    message.resume();
    await stream.drained();
    expect([stream.isBehind, stream.pending, cut]).toEqual([false, 0, 0]);
  });

  it('is closed if 1 MiB more comes for a client that is behind', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    (await answer).pause();
    for (let n = 0; n < 60; n++) {
      stream.next(event('x'.repeat(500_000)));
      await turn();
    }
    expect(stream.pending).toBeLessThan(3 * 2 ** 20);
    expect(cut).toBe(1);
  });

  it('notices that the client has read a part of a large write', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    stream.next(event('x'.repeat(30_000_000)));
    await turn();
    await until(() => stream.pending > 0);
    let before = NaN;
    // Until the buffers of the kernel are full.
    await until(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const isStill = before === stream.progress;
      before = stream.progress;
      return isStill;
    });
    await until(() => {
      message.read();
      return stream.progress !== before;
    });
    expect(stream.pending).toBeGreaterThan(10_000_000);
  });

  it('tells a resuming client the position of added channels with the second heartbeat', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1~2-2', ['d']);
    await turn();
    stream.heartbeat();
    stream.heartbeat();
    stream.complete();
    const position = 'event: sse.position\nid: 1-1~2-2\ndata: {"channel":"c"}\n\n';
    expect(await text(await answer)).toBe(`retry: 1\n\n:\n${position}`);
  });

  it('is not behind any more once its client has closed its side', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    while (!stream.isBehind) {
      stream.next(event('x'.repeat(100_000)));
      await turn();
    }
    message.socket.end();
    await until(() => !response.socket!.writable);
    expect([stream.isBehind, stream.drained()]).toEqual([false, undefined]);
  });

  it('tells no older position after it has told that of further channels', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', ['d']);
    stream.open('1-1~2-2', ['e']);
    stream.heartbeat();
    stream.complete();
    const ids = (await text(await answer)).match(/(?<=id: ).*/g);
    expect(ids).toEqual(['1-1~2-2']);
  });

  it('tells a client at once when further channels have opened', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.open('1-1~2-2', ['d']);
    stream.complete();
    const position = 'event: sse.position\nid: 1-1~2-2\ndata: {"channel":"d"}\n\n';
    expect(await text(await answer)).toBe(`retry: 1\n\n${position}`);
  });

  it('shares its bytes with streams whose clients are to come back at another time', async () => {
    const shared = event('a');
    const requests = [await request(), await request(new Agent())];
    const written = requests.map(({ response, answer }, number) => {
      answer.catch(() => undefined);
      const chunks = jest.spyOn(response.socket!, 'write');
      const stream = streamOn(response, `retry: ${number}\n\n`);
      stream.open('1-1', []);
      stream.next(shared);
      return () =>
        chunks.mock.calls.map(([chunk]) => chunk as unknown).filter((chunk) => Buffer.isBuffer(chunk));
    });
    await turn();
    const [a, b] = written.map((chunks) => chunks());
    expect([a, b].map((chunks) => chunks!.length)).toEqual([2, 2]);
    expect(b![0]).not.toBe(a![0]);
    expect(b![1]).toBe(a![1]);
    expect(a![1]!.toString()).toBe('f\r\nid: a\ndata: a\n\n\r\n');
  });

  it('is not written to once its client has said goodbye', async () => {
    const errors: Error[] = [];
    server.on('clientError', (error) => errors.push(error));
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    (await answer).pause();
    while (stream.pending === 0) {
      stream.next(event('x'.repeat(100_000)));
      await turn();
    }
    (await answer).socket.end();
    await until(() => !response.socket!.writable);
    const { sent } = stream;
    stream.next(event('late'));
    await turn();
    expect(stream.sent).toBe(sent);
    expect(response.destroyed).toBe(false);
    expect(errors).toEqual([]);
  });

  it('goes through a write() that somebody has put into the prototype of all responses', async () => {
    const through = jest.spyOn(ServerResponse.prototype, 'write');
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.next(event('a'));
    stream.complete();
    expect(await text(await answer)).toBe('retry: 1\n\nid: a\ndata: a\n\n');
    expect(through).toHaveBeenCalledTimes(2);
    through.mockRestore();
  });

  it('is over when it is cut behind another one on its connection', async () => {
    const socket = connectSocket((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2));
    const responses: ServerResponse[] = [];
    server.on('request', (_, response: ServerResponse) => responses.push(response));
    await until(() => responses.length === 2);
    const stream = streamOn(responses[1]!);
    stream.open('1-1', []);
    const closed = stream.closed();
    stream.cut();
    await closed;
    expect(cut).toBe(1);
    socket.destroy();
  });

  it('waits for a client of HTTP/2, too', async () => {
    const http2 = createHttp2Server().listen(0, '127.0.0.1');
    await once(http2, 'listening');
    const session = connectHttp2(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
    session.request({ ':path': '/' });
    const [, response] = (await once(http2, 'request')) as unknown as [unknown, ServerResponse];
    const stream = streamOn(response);
    stream.open('1-1', []);
    // More than the window of its stream.
    stream.next(event('x'.repeat(500_000)));
    expect(stream.drained()).toBeInstanceOf(Promise);
    await until(() => stream.pending > 0);
    stream.cut();
    stream.cut();
    expect(cut).toBe(1);
    session.destroy();
    http2.close();
  });

  it('notices that a client of HTTP/2 has read a part of a large write', async () => {
    const http2 = createHttp2Server().listen(0, '127.0.0.1');
    await once(http2, 'listening');
    const session = connectHttp2(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
    const reading = session.request({ ':path': '/' });
    const [, response] = (await once(http2, 'request')) as unknown as [unknown, ServerResponse];
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.next(event('x'.repeat(900_000)));
    await until(() => stream.pending > 0);
    let before = NaN;
    await until(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const isStill = before === stream.progress;
      before = stream.progress;
      return isStill;
    });
    const { pending } = stream;
    await until(() => {
      reading.read(10_000);
      return stream.progress !== before;
    });
    expect(stream.pending).toBe(pending);
    session.destroy();
    http2.close();
  });

  it('is counted once when it is cut', async () => {
    const { response, answer } = await request();
    answer.catch(() => undefined);
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.cut();
    stream.cut();
    expect(cut).toBe(1);
  });
});

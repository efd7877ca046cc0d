import { Agent, ServerResponse } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { eventOf, useStreamServer } from '../../test/support/stream-server.js';
import { until } from '../../test/support/until.js';
import type { SseResponse } from './sse-response.js';

describe('An event stream', () => {
  const { outbox, port, request, server, streamOn } = useStreamServer();

  it('writes nothing behind its end, where the next answer on the connection begins', async () => {
    const first = await request();
    const stream = streamOn(first.response);
    stream.open('1-1', []);
    await turn();
    stream.next(eventOf('a'));
    await turn();
    stream.complete();
    stream.next(eventOf('late'));
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
    const { socket } = response;
    const sent = socket!.bytesWritten;
    stream.heartbeat();
    await turn();
    expect(socket!.bytesWritten).toBeGreaterThan(sent);
    (message ?? (await answer)).pause();
    // Until the buffers of the kernel are full.
    while (stream.pending === 0) {
      stream.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    const waiting = socket!.bytesWritten;
    stream.heartbeat();
    await turn();
    expect(socket!.bytesWritten).toBe(waiting);
  });

  it.each<[string, (stream: SseResponse) => unknown]>([
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
    const shared = eventOf('a');
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
    server().on('clientError', (error) => errors.push(error));
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    (await answer).pause();
    while (stream.pending === 0) {
      stream.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    (await answer).socket.end();
    await until(() => !response.socket!.writable);
    const { socket } = response;
    const { bytesWritten } = socket!;
    stream.next(eventOf('late'));
    await turn();
    expect(socket!.bytesWritten).toBe(bytesWritten);
    expect(response.destroyed).toBe(false);
    expect(errors).toEqual([]);
  });

  it('goes through a write() that somebody has put into the prototype of all responses', async () => {
    const through = jest.spyOn(ServerResponse.prototype, 'write');
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.next(eventOf('a'));
    stream.complete();
    expect(await text(await answer)).toBe('retry: 1\n\nid: a\ndata: a\n\n');
    expect(through).toHaveBeenCalledTimes(2);
    through.mockRestore();
  });

  it('is closed when its client does not read, also behind another response', async () => {
    const socket = connectSocket(port(), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2));
    const responses: ServerResponse[] = [];
    server().on('request', (_, response: ServerResponse) => responses.push(response));
    await until(() => responses.length === 2);
    const stream = streamOn(responses[1]!);
    stream.open('1-1', []);
    const closed = stream.closed();
    stream.disconnectSlow();
    await closed;
    expect(stream.endReason).toBe('slow');
    socket.destroy();
  });
});

import { Agent, ServerResponse } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { eventOf, useSseServer } from '../../test/support/sse-server.js';
import { until } from '../../test/support/until.js';
import type { SseResponse } from './sse-response.js';

describe('The response of a connection', () => {
  const { outbox, port, request, server, sseOn } = useSseServer();

  it('writes nothing after its end, where the next response on the connection begins', async () => {
    const first = await request();
    const sse = sseOn(first.response);
    sse.open('1-1', []);
    await turn();
    sse.next(eventOf('a'));
    await turn();
    sse.complete();
    sse.next(eventOf('late'));
    sse.heartbeat();
    await turn();
    expect(await text(await first.answer)).toBe('retry: 1\n\nid: a\ndata: a\n\n');
    const second = await request();
    second.response.end('the next answer');
    expect(await text(await second.answer)).toBe('the next answer');
    expect(second.response.req.socket).toBe(first.response.req.socket);
  });

  it('starts each turn empty, so that events of the previous turn can be freed', async () => {
    const nobody = { writtenIn: 0, flush: () => undefined };
    const before = outbox.begin(nobody);
    await turn();
    expect(outbox.begin(nobody)).not.toBe(before);
    await turn();
  });

  it('sends a heartbeat to a quiet client, and none to a client with unread bytes', async () => {
    const { response, answer } = await request();
    const message = await Promise.race([answer, turn()]);
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    const { socket } = response;
    const sent = socket!.bytesWritten;
    sse.heartbeat();
    await turn();
    expect(socket!.bytesWritten).toBeGreaterThan(sent);
    (message ?? (await answer)).pause();
    // Until the buffers of the kernel are full.
    while (sse.pending === 0) {
      sse.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    const waiting = socket!.bytesWritten;
    sse.heartbeat();
    await turn();
    expect(socket!.bytesWritten).toBe(waiting);
  });

  it('sends a heartbeat at once and apart from events, and none while events wait', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    const sent = response.socket!.bytesWritten;
    const begin = jest.spyOn(outbox, 'begin');
    sse.heartbeat();
    expect(response.socket!.bytesWritten).toBeGreaterThan(sent);
    expect(begin).not.toHaveBeenCalled();
    begin.mockRestore();
    sse.next(eventOf('a'));
    sse.heartbeat();
    sse.complete();
    expect(await text(await answer)).toBe('retry: 1\n\n:\nid: a\ndata: a\n\n');
  });

  it.each<[string, (sse: SseResponse) => unknown]>([
    ['at the end of a turn', (sse) => sse.flush()],
    ['with a page of history', (sse) => sse.drained()],
    ['at its end', (sse) => sse.complete()],
  ])('is closed by a write that fails %s, and throws nothing', async (_, write) => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    const { response, answer } = await request();
    answer.catch(() => undefined);
    response.write = () => {
      throw new Error('This write fails');
    };
    const sse = sseOn(response);
    sse.open('1-1', []);
    expect(() => write(sse)).not.toThrow();
    expect(response.destroyed).toBe(true);
    expect(logged).toHaveBeenCalledTimes(1);
    logged.mockRestore();
  });

  it('sends a resuming client the position of added channels with the second heartbeat', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1~2-2', ['d']);
    await turn();
    sse.heartbeat();
    sse.heartbeat();
    sse.complete();
    const position = 'event: sse.position\nid: 1-1~2-2\ndata: {"channel":"c"}\n\n';
    expect(await text(await answer)).toBe(`retry: 1\n\n:\n${position}`);
  });

  it('sends no older position after that of further channels', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', ['d']);
    sse.open('1-1~2-2', ['e']);
    sse.heartbeat();
    sse.complete();
    const ids = (await text(await answer)).match(/(?<=id: ).*/g);
    expect(ids).toEqual(['1-1~2-2']);
  });

  it('sends the position at once when further channels have opened', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    sse.open('1-1~2-2', ['d']);
    sse.complete();
    const position = 'event: sse.position\nid: 1-1~2-2\ndata: {"channel":"d"}\n\n';
    expect(await text(await answer)).toBe(`retry: 1\n\n${position}`);
  });

  it('shares its bytes with responses that have a different reconnection time', async () => {
    const shared = eventOf('a');
    const requests = [await request(), await request(new Agent())];
    const written = requests.map(({ response, answer }, number) => {
      answer.catch(() => undefined);
      const chunks = jest.spyOn(response.socket!, 'write');
      const sse = sseOn(response, `retry: ${number}\n\n`);
      sse.open('1-1', []);
      sse.next(shared);
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

  it('writes nothing after its client has closed its side', async () => {
    const errors: Error[] = [];
    server().on('clientError', (error) => errors.push(error));
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    (await answer).pause();
    while (sse.pending === 0) {
      sse.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    (await answer).socket.end();
    await until(() => !response.socket!.writable);
    const { socket } = response;
    const { bytesWritten } = socket!;
    sse.next(eventOf('late'));
    await turn();
    expect(socket!.bytesWritten).toBe(bytesWritten);
    expect(response.destroyed).toBe(false);
    expect(errors).toEqual([]);
  });

  it('uses a write() that other code has set in the prototype of all responses', async () => {
    const through = jest.spyOn(ServerResponse.prototype, 'write');
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    sse.next(eventOf('a'));
    sse.complete();
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
    const sse = sseOn(responses[1]!);
    sse.open('1-1', []);
    const closed = sse.closed();
    sse.disconnectSlow();
    await closed;
    expect(sse.endReason).toBe('slow');
    socket.destroy();
  });

  it('is not closed for a client that has left', async () => {
    const socket = connectSocket(port(), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const response = await new Promise<ServerResponse>((resolve) => {
      server().once('request', (_, each: ServerResponse) => resolve(each));
    });
    const sse = sseOn(response);
    response.destroy();
    sse.disconnectSlow();
    expect(sse.endReason).toBeUndefined();
    socket.destroy();
  });
});

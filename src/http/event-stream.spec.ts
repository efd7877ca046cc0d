import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventStream } from './event-stream.js';
import { Outbox } from './outbox.js';

describe('An event stream', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const outbox = new Outbox();
  const event = (data: string) => ({ id: data, channel: 'c', data });
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

  async function request(): Promise<{ response: ServerResponse; answer: Promise<IncomingMessage> }> {
    const answer = once(get({ port: (server.address() as AddressInfo).port, agent }), 'response');
    const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
    return { response, answer: answer.then(([message]) => message as IncomingMessage) };
  }

  const streamOn = (response: ServerResponse, number = 0) =>
    new EventStream(response, outbox, {
      number,
      channels: ['c'],
      resumes: true,
      retry: Buffer.from('retry: 1\n\n'),
      onCut: () => cut++,
    });

  it('writes nothing behind its end, where the next answer on the connection begins', async () => {
    const first = await request();
    const stream = streamOn(first.response);
    stream.open('1-1');
    await turn();
    stream.next(event('a'), '');
    await turn();
    stream.complete();
    stream.next(event('late'), '');
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
    stream.open('1-1');
    await turn();
    const sent = stream.sent;
    stream.heartbeat();
    await turn();
    expect(stream.sent).toBeGreaterThan(sent);
    (message ?? (await answer)).pause();
    // Until the buffers of the kernel are full.
    while (stream.pending === 0) {
      stream.next(event('x'.repeat(100_000)), '');
      await turn();
    }
    const waiting = stream.sent;
    stream.heartbeat();
    await turn();
    expect(stream.sent).toBe(waiting);
  });

  it('is counted once when it is cut', async () => {
    const { response, answer } = await request();
    answer.catch(() => undefined);
    const stream = streamOn(response);
    stream.open('1-1');
    stream.cut();
    stream.cut();
    expect(cut).toBe(1);
  });
});

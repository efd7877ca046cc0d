import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { wholeAnswer } from './whole-answer.js';

type Handler = (response: ServerResponse, request: IncomingMessage) => void;

const servers = new Set<Server>();
afterEach(() => {
  jest.useRealTimers();
  for (const server of servers) server.close().closeAllConnections();
  servers.clear();
});

/** A server that answers each request by the next handler. */
async function serve(...handlers: Handler[]) {
  const ids: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ids.push(request.headers['last-event-id'] as string | undefined);
    handlers.shift()!(response, request);
  }).listen(0, '127.0.0.1');
  servers.add(server);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const open = (id?: string) => fetch(url, { headers: id === undefined ? {} : { 'last-event-id': id } });
  return { ids, read: async () => wholeAnswer(await open(), open).text() };
}

const EVENTS = ['id: 1\ndata: {"a":"ä"}\n\n', 'id: 2\ndata: {"b":2}\n\n', 'id: 3\ndata: [DONE]\n\n'];
const WHOLE = Buffer.from(`retry: 3000\n${EVENTS.join('')}`);
const end: Handler = (response) => response.end(WHOLE);
/** What follows an id, as the server sends it. */
const rest: Handler = (response, request) =>
  response.end(EVENTS.slice(Number(request.headers['last-event-id'] ?? 0)).join(''));
const status =
  (code: number): Handler =>
  (response) =>
    response.writeHead(code).end();
/** A connection that breaks after some bytes. */
const cutAfter =
  (length: number): Handler =>
  (response) => {
    response.write(WHOLE.subarray(0, length), () => setImmediate(() => response.destroy()));
    response.flushHeaders();
  };
const withoutRetry = (text: string) => text.replace('retry: 3000\n', '');

describe('The whole answer', () => {
  it('is that of a response that has all of it, and other responses are left alone', async () => {
    const { read, ids } = await serve(end, status(204));
    expect(await read()).toBe(WHOLE.toString());
    expect(await read()).toBe('');
    expect(ids).toEqual([undefined, undefined]);
  });

  it('is continued where the connection breaks after any byte, with each event once', async () => {
    for (let length = 0; length < WHOLE.length; length++) {
      const { read, ids } = await serve(cutAfter(length), rest);
      expect([length, withoutRetry(await read())]).toEqual([length, EVENTS.join('')]);
      const got = WHOLE.subarray(0, length).toString().split('\n\n').length - 1;
      expect(ids).toEqual([undefined, got === 0 ? undefined : `${got}`]);
    }
  });

  it('is continued where a proxy ends the response, and where servers are unavailable meanwhile', async () => {
    const half: Handler = (response) => response.end(EVENTS[0]);
    const { read, ids } = await serve(half, status(502), cutAfter(0), status(429), rest);
    expect(await read()).toBe(EVENTS.join(''));
    expect(ids).toEqual([undefined, '1', '1', '1', '1']);
  });

  it.each([204, 403, 404])('fails if the rest is refused with %i', async (code) => {
    const { read } = await serve(cutAfter(40), status(code));
    await expect(read()).rejects.toThrow(`status ${code}`);
  });

  it('fails after 12 attempts without an event', async () => {
    jest.useFakeTimers();
    let attempts = 0;
    const reopen = () => {
      attempts++;
      return Promise.reject(new TypeError('fetch failed'));
    };
    const reading = wholeAnswer(new Response(EVENTS[0]), reopen).text();
    reading.catch(() => undefined);
    await jest.advanceTimersByTimeAsync(120_000);
    await expect(reading).rejects.toThrow('fetch failed');
    expect(attempts).toBe(12);

    const empty = wholeAnswer(new Response(''), () => Promise.resolve(new Response(':\n'))).text();
    empty.catch(() => undefined);
    await jest.advanceTimersByTimeAsync(120_000);
    await expect(empty).rejects.toThrow('status 200');
  });

  it('is continued where a connection is silent for three heartbeats, and not where it has heartbeats', async () => {
    jest.useFakeTimers();
    const ids: unknown[] = [];
    const silent = new TransformStream<Uint8Array, Uint8Array>();
    const writer = silent.writable.getWriter();
    const reopen = (id: string | undefined) => {
      ids.push(id);
      return Promise.resolve(new Response(EVENTS.slice(1).join('')));
    };
    const reading = wholeAnswer(new Response(silent.readable), reopen).text();
    await writer.write(Buffer.from(EVENTS[0]!));
    for (let n = 0; n < 5; n++) {
      await jest.advanceTimersByTimeAsync(30_000);
      await writer.write(Buffer.from(':\n'));
    }
    expect(ids).toEqual([]);
    await jest.advanceTimersByTimeAsync(50_000);
    expect(await reading).toBe(EVENTS.join(''));
    expect(ids).toEqual(['1']);
  });

  it('closes a request for the rest when its reader leaves', async () => {
    let onAsked: (signal: AbortSignal) => void = () => {};
    const asked = new Promise<AbortSignal>((resolve) => (onAsked = resolve));
    const reopen = (_id: string | undefined, over: AbortSignal) => {
      onAsked(over);
      return new Promise<Response>((_, reject) =>
        over.addEventListener('abort', () => reject(new Error('over'))),
      );
    };
    const reader = wholeAnswer(new Response(EVENTS[0]), reopen).body!.getReader();
    await reader.read();
    void reader.read();
    const signal = await asked;
    await reader.cancel();
    expect(signal.aborted).toBe(true);
  });

  it('is not continued once its reader has left, or its signal is aborted', async () => {
    let reopened = 0;
    const over = new AbortController();
    const reopen = () => {
      reopened++;
      over.abort(new Error('left'));
      return Promise.reject(new Error('left'));
    };
    const aborted = wholeAnswer(new Response(EVENTS[0]), reopen, over.signal).text();
    await expect(aborted).rejects.toThrow('left');
    expect(reopened).toBe(1);
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const writer = body.writable.getWriter();
    void writer.write(Buffer.from(EVENTS[0]!));
    const reader = wholeAnswer(new Response(body.readable), reopen).body!.getReader();
    await reader.read();
    await reader.cancel();
    await writer.closed.catch(() => undefined);
    expect(reopened).toBe(1);
  });
});

import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { SseSource } from './index.js';
import { createSource } from './source.js';

/** Responses without a socket, so that the clock can be the test's. */
function responses(status = 200) {
  const bodies: ReadableStreamDefaultController<Uint8Array>[] = [];
  const cancelled: unknown[] = [];
  const fetch = (async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void bodies.push(controller),
      cancel: (reason) => void cancelled.push(reason),
    });
    const headers = { 'content-type': 'text/event-stream', ...(status === 503 && { 'retry-after': '60' }) };
    return new Response(body, { status, headers });
  }) as typeof globalThis.fetch;
  const send = (text: string) => bodies.at(-1)!.enqueue(Buffer.from(text));
  return { fetch, bodies, cancelled, send };
}
const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);

describe('A silent connection', () => {
  let source: SseSource | undefined;
  afterEach(() => {
    source?.close();
    jest.useRealTimers();
  });
  const open = async (fetch: typeof globalThis.fetch) => {
    jest.useFakeTimers();
    source = createSource('http://localhost/feed', { fetch });
    await pass(0);
    return source;
  };

  it('is closed after 2.5 heartbeats, of 15 s where the server names no interval', async () => {
    const { fetch, bodies, cancelled, send } = responses();
    await open(fetch);
    send(':\n');
    await pass(37_500);
    expect([source!.state, cancelled.length]).toEqual(['open', 0]);
    await pass(600);
    expect([source!.state, source!.error?.message]).toEqual(['waiting', 'Nothing arrived']);
    // A `fetch` that ignores the signal does not keep the response.
    expect(cancelled).toHaveLength(1);
    await pass(2_001);
    expect([source!.state, bodies.length]).toEqual(['open', 2]);
  });

  it('is closed after 2.5 intervals that the server names, and not while bytes arrive', async () => {
    const { fetch, send } = responses();
    await open(fetch);
    send(':heartbeat 60000\n');
    await pass(140_000);
    send(':');
    await pass(149_000);
    expect(source!.state).toBe('open');
    await pass(3_100);
    expect(source!.state).toBe('waiting');
  });

  it.each([
    ['forward, as after the sleep of a computer', 3_600_000],
    ['back', -3_600_000],
  ])('is closed at the next check where the clock jumps %s', async (_, jump) => {
    const { fetch, bodies } = responses();
    await open(fetch);
    jest.setSystemTime(Date.now() + jump);
    await pass(2_100);
    expect(source!.state).toBe('waiting');
    await pass(2_001);
    expect([source!.state, bodies.length]).toEqual(['open', 2]);
  });

  it('is found, too, where the response headers never arrive', async () => {
    let requests = 0;
    await open(() => {
      requests++;
      return new Promise(() => undefined);
    });
    await pass(42_000);
    expect([requests, source!.error?.message]).toEqual([2, 'Nothing arrived']);
  });

  it('is found, too, where the application never loads its state', async () => {
    const { fetch } = responses();
    let loads = 0;
    const snapshot = () =>
      loads++ === 0 ? new Promise<never>(() => {}) : Promise.resolve({ lastEventId: '7' });
    jest.useFakeTimers();
    source = createSource('http://localhost/feed', { fetch, snapshot });
    await pass(42_000);
    expect([loads, source.state, source.lastEventId]).toEqual([2, 'open', '7']);
  });

  it('leaves no timer where the application closes the source while it is asked for headers', async () => {
    const { fetch } = responses();
    jest.useFakeTimers();
    const headers = () => {
      source!.close();
      return {};
    };
    source = createSource('http://localhost/feed', { fetch, headers });
    await pass(0);
    expect([source.state, jest.getTimerCount()]).toEqual(['ended', 0]);
  });

  it('leaves nothing behind that keeps the process running', async () => {
    const { fetch } = responses();
    await open(fetch);
    source!.close();
    await pass(0);
    expect(jest.getTimerCount()).toBe(0);
    const refused = responses(503);
    await open(refused.fetch);
    await pass(1);
    expect(source!.state).toBe('waiting');
    source!.close();
    await pass(0);
    expect(jest.getTimerCount()).toBe(0);
  });
});

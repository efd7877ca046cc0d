import { constants } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { eventOf, stillProgress, useSseServer } from '../../test/support/sse-server.js';
import { until } from '../../test/support/until.js';

describe('The response of a client that reads slowly', () => {
  const { request, requestHttp2, sseOn } = useSseServer();

  it('is behind with more than 512 KiB unread, until the client has read all of it', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    while (sse.pending <= 524_288) {
      expect(sse.isBehind).toBe(false);
      sse.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    expect(sse.isBehind).toBe(true);
    message.resume();
    await sse.drained();
    expect([sse.isBehind, sse.pending, sse.endReason]).toEqual([false, 0, undefined]);
  });

  it('is not behind with less unread, after it was behind once', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    const fill = async (bytes: number) => {
      while (sse.pending <= bytes) {
        sse.next(eventOf('x'.repeat(100_000)));
        await turn();
      }
    };
    await fill(524_288);
    expect(sse.isBehind).toBe(true);
    message.resume();
    await sse.drained();
    message.pause();
    await fill(50_000);
    expect(sse.drained()).toBeInstanceOf(Promise);
    expect(sse.isBehind).toBe(false);
  });

  it('is closed if a client that is behind gets 1 MiB more', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    (await answer).pause();
    for (let n = 0; n < 60; n++) {
      sse.next(eventOf('x'.repeat(500_000)));
      await turn();
    }
    expect(sse.pending).toBeLessThan(3 * 2 ** 20);
    expect(sse.endReason).toBe('slow');
  });

  it('notices that the client has read a part of a large write', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    sse.next(eventOf('x'.repeat(30_000_000)));
    await turn();
    const before = await stillProgress(sse);
    await until(() => {
      message.read();
      return sse.progress !== before;
    });
    expect(sse.pending).toBeGreaterThan(10_000_000);
  });

  it('is no longer behind after its client has closed its side', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response);
    sse.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    while (!sse.isBehind) {
      sse.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    message.socket.end();
    await until(() => !response.socket!.writable);
    expect([sse.isBehind, sse.drained()]).toEqual([false, undefined]);
  });

  it('also waits for an HTTP/2 client', async () => {
    const { response } = await requestHttp2();
    const sse = sseOn(response);
    sse.open('1-1', []);
    // More than the window of its HTTP/2 stream.
    sse.next(eventOf('x'.repeat(500_000)));
    expect(sse.drained()).toBeInstanceOf(Promise);
    await until(() => sse.pending > 0);
    sse.disconnectSlow();
    sse.disconnectSlow();
    expect(sse.endReason).toBe('slow');
  });

  it('notices that an HTTP/2 client has read a part of a large write', async () => {
    const { response, reading } = await requestHttp2();
    const sse = sseOn(response);
    sse.open('1-1', []);
    sse.next(eventOf('x'.repeat(900_000)));
    const before = await stillProgress(sse);
    const { pending } = sse;
    await until(() => {
      reading.read(10_000);
      return sse.progress !== before;
    });
    expect(sse.pending).toBe(pending);
  });

  it('is closed when an HTTP/2 client resets it without an error code, although bytes are unsent', async () => {
    const { response, reading } = await requestHttp2();
    const sse = sseOn(response);
    sse.open('1-1', []);
    sse.next(eventOf('x'.repeat(1_000_000)));
    await stillProgress(sse);
    const closed = sse.closed();
    reading.close(constants.NGHTTP2_NO_ERROR);
    await closed;
    expect(sse.endReason).toBeUndefined();
  });
});

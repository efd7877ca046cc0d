import { constants } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { eventOf, stillProgress, useStreamServer } from '../../test/support/stream-server.js';
import { until } from '../../test/support/until.js';

describe('An event stream whose client reads slowly', () => {
  const { request, requestHttp2, streamOn } = useStreamServer();

  it('is behind with more than 512 KiB unread, until the client has read all of it', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    while (stream.pending <= 524_288) {
      expect(stream.isBehind).toBe(false);
      stream.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    expect(stream.isBehind).toBe(true);
    message.resume();
    await stream.drained();
    expect([stream.isBehind, stream.pending, stream.endReason]).toEqual([false, 0, undefined]);
  });

  it('is not behind with less unread, after it was behind once', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    const fill = async (bytes: number) => {
      while (stream.pending <= bytes) {
        stream.next(eventOf('x'.repeat(100_000)));
        await turn();
      }
    };
    await fill(524_288);
    expect(stream.isBehind).toBe(true);
    message.resume();
    await stream.drained();
    message.pause();
    await fill(50_000);
    expect(stream.drained()).toBeInstanceOf(Promise);
    expect(stream.isBehind).toBe(false);
  });

  it('is closed if 1 MiB more comes for a client that is behind', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    (await answer).pause();
    for (let n = 0; n < 60; n++) {
      stream.next(eventOf('x'.repeat(500_000)));
      await turn();
    }
    expect(stream.pending).toBeLessThan(3 * 2 ** 20);
    expect(stream.endReason).toBe('slow');
  });

  it('notices that the client has read a part of a large write', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    stream.next(eventOf('x'.repeat(30_000_000)));
    await turn();
    const before = await stillProgress(stream);
    await until(() => {
      message.read();
      return stream.progress !== before;
    });
    expect(stream.pending).toBeGreaterThan(10_000_000);
  });

  it('is not behind any more once its client has closed its side', async () => {
    const { response, answer } = await request();
    const stream = streamOn(response);
    stream.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    while (!stream.isBehind) {
      stream.next(eventOf('x'.repeat(100_000)));
      await turn();
    }
    message.socket.end();
    await until(() => !response.socket!.writable);
    expect([stream.isBehind, stream.drained()]).toEqual([false, undefined]);
  });

  it('waits for a client of HTTP/2, too', async () => {
    const { response } = await requestHttp2();
    const stream = streamOn(response);
    stream.open('1-1', []);
    // More than the window of its stream.
    stream.next(eventOf('x'.repeat(500_000)));
    expect(stream.drained()).toBeInstanceOf(Promise);
    await until(() => stream.pending > 0);
    stream.disconnectSlow();
    stream.disconnectSlow();
    expect(stream.endReason).toBe('slow');
  });

  it('notices that a client of HTTP/2 has read a part of a large write', async () => {
    const { response, reading } = await requestHttp2();
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.next(eventOf('x'.repeat(900_000)));
    const before = await stillProgress(stream);
    const { pending } = stream;
    await until(() => {
      reading.read(10_000);
      return stream.progress !== before;
    });
    expect(stream.pending).toBe(pending);
  });

  it('is closed when a client of HTTP/2 resets it without an error code, although bytes are unsent', async () => {
    const { response, reading } = await requestHttp2();
    const stream = streamOn(response);
    stream.open('1-1', []);
    stream.next(eventOf('x'.repeat(1_000_000)));
    await stillProgress(stream);
    const closed = stream.closed();
    reading.close(constants.NGHTTP2_NO_ERROR);
    await closed;
    expect(stream.endReason).toBeUndefined();
  });
});

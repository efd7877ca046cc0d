import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, jest } from '@jest/globals';
import { eventOf, useSseServer } from '../../test/support/sse-server.js';
import { until } from '../../test/support/until.js';

describe('The response of a gzip connection', () => {
  const { request, server, sseOn } = useSseServer();
  const gzip = 100;
  /** A text that does not shrink much. */
  const noise = () => randomBytes(300_000).toString('base64');

  it('is counted by its bytes on the wire where its client does not read', async () => {
    const { response, answer } = await request();
    const sse = sseOn(response, undefined, gzip);
    sse.open('1-1', []);
    await turn();
    const message = (await answer).pause();
    // 50 MB, which are 50 kB on the wire.
    for (let n = 0; n < 100; n++) {
      sse.next(eventOf('x'.repeat(500_000)));
      await turn();
    }
    expect([sse.isBehind, sse.endReason]).toEqual([false, undefined]);
    // Other texts fill the buffers of the system.
    while (!sse.isBehind) {
      sse.next(eventOf(noise()));
      await turn();
    }
    expect(sse.pending).toBeGreaterThan(524_288);
    message.destroy();
  });

  it('writes one Buffer per batch to all, at once with the headers, header and first lines at the beginning', async () => {
    const requests = [await request(), await request(new Agent())];
    const shared = eventOf('a'.repeat(500));
    const written = requests.map(({ response, answer }, number) => {
      answer.catch(() => undefined);
      const chunks = jest.spyOn(response.socket!, 'write');
      const sse = sseOn(response, `retry: ${number}\n\n`, gzip);
      sse.open('1-1', []);
      sse.next(shared);
      return () =>
        chunks.mock.calls.map(([chunk]) => chunk as unknown).filter((chunk) => Buffer.isBuffer(chunk));
    });
    await turn();
    const [a, b] = written.map((chunks) => chunks());
    expect([a, b].map((chunks) => chunks!.length)).toEqual([3, 3]);
    expect(b![0]).toBe(a![0]);
    expect(b![1]).not.toBe(a![1]);
    expect(b![2]).toBe(a![2]);
  });

  it('ends with a trailer, also if it has nothing but its first lines', async () => {
    const { response, answer } = await request();
    sseOn(response, undefined, gzip).complete();
    expect(gunzipSync(await buffer(await answer)).toString()).toBe('retry: 1\n\n');
  });

  it('writes no trailer once its client has closed its side', async () => {
    const errors: Error[] = [];
    server().on('clientError', (error) => errors.push(error));
    const { response, answer } = await request();
    const sse = sseOn(response, undefined, gzip);
    sse.open('1-1', []);
    await turn();
    (await answer).pause();
    while (sse.pending === 0) {
      sse.next(eventOf(noise()));
      await turn();
    }
    (await answer).socket.end();
    await until(() => !response.socket!.writable);
    const write = jest.spyOn(response.socket!, 'write');
    sse.complete();
    expect(write.mock.calls.filter(([chunk]) => Buffer.isBuffer(chunk))).toEqual([]);
    expect(response.destroyed).toBe(false);
    expect(errors).toEqual([]);
  });
});

import { afterEach, describe, expect, it } from '@jest/globals';
import { events, ScriptedServer, status, stream } from '../../test/support/scripted-server.js';
import { until } from '../../test/support/until.js';
import type { SseSource } from './index.js';
import { createSource } from './source.js';

const sources: SseSource[] = [];
afterEach(() => {
  for (const source of sources.splice(0)) source.close();
});
function open(url: string): SseSource {
  const source: SseSource = createSource(url, {}, 10);
  sources.push(source);
  return source;
}
const COUNT = 5_000;
const END = 'event: sse.end\ndata: {}\n\n';
const many = Array.from({ length: COUNT }, (_, n) => `id: ${n}\ndata: ${n}${' '.repeat(200)}\n\n`).join('');

describe('The iteration over a source', () => {
  it('delivers all events in order, over reconnections, in each loop', async () => {
    const server = await ScriptedServer.start(
      events('retry: 1\ndata: 1\n\n'),
      status(502),
      events(`data: 2\n\n${END}`),
    );
    const source = open(server.url);
    const loop = async () => {
      const types: unknown[] = [];
      for await (const { type, data } of source) types.push(type === 'message' ? data : type);
      return types;
    };
    const whole = [1, 2, 'sse.end'];
    expect(await Promise.all([loop(), loop()])).toEqual([whole, whole]);
  });

  it('throws where the source fails, after the events before that, and is over then', async () => {
    const server = await ScriptedServer.start(events('retry: 1\ndata: 1\n\n'), status(404));
    const source = open(server.url);
    const iterator = source[Symbol.asyncIterator]();
    await until(() => source.state === 'failed');
    expect(await iterator.next()).toMatchObject({ value: { data: 1 } });
    await expect(iterator.next()).rejects.toMatchObject({ status: 404 });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it('reads no further while the consumer does not ask for events, and loses none', async () => {
    const server = await ScriptedServer.start(stream(`:heartbeat 40\n${many}${END}`));
    const source = open(server.url);
    const iterator = source[Symbol.asyncIterator]() as AsyncIterableIterator<{ data: unknown }>;
    await until(() => source.lastEventId !== '');
    // Longer than the silence that would end the connection.
    const since = performance.now();
    await until(() => performance.now() - since > 1_000);
    const chunk = 65_536 / 200;
    expect(Number(source.lastEventId)).toBeLessThan(256 + 2 * chunk);
    expect(server.requests).toHaveLength(1);
    const got: unknown[] = [];
    for await (const { data } of iterator) got.push(data);
    expect(got).toEqual([...Array(COUNT).keys(), {}]);
    expect(server.requests).toHaveLength(1);
  });

  it('goes on without a loop that was left, and does not close the source', async () => {
    const server = await ScriptedServer.start(stream(`${many}data: last\n\n`));
    const source = open(server.url);
    for await (const { data } of source) if (data === 3) break;
    const other = source[Symbol.asyncIterator]();
    const returned = source[Symbol.asyncIterator]();
    await until(() => source.lastEventId !== '');
    const got = { last: false };
    source.on('message', (data) => (got.last ||= data === 'last'));
    expect(await other.return!()).toEqual({ done: true, value: undefined });
    expect(await returned.return!()).toEqual({ done: true, value: undefined });
    await until(() => got.last);
    expect(source.state).toBe('open');
    expect(await other.next()).toEqual({ done: true, value: undefined });
  });

  it('answers requests for events that were made before they arrived, in order', async () => {
    const server = await ScriptedServer.start(stream('data: 1\n\ndata: 2\n\n'));
    const source = open(server.url);
    const iterator = source[Symbol.asyncIterator]();
    const asked = [iterator.next(), iterator.next(), iterator.next()];
    expect((await Promise.all(asked.slice(0, 2))).map(({ value }) => value?.data)).toEqual([1, 2]);
    void iterator.return!();
    expect(await asked[2]).toEqual({ done: true, value: undefined });
  });
});

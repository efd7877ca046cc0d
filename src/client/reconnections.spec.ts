import { afterEach, describe, expect, it } from '@jest/globals';
import { freePort } from '../../test/support/port.js';
import { Proxy } from '../../test/support/proxy.js';
import {
  breaking,
  events,
  hangUp,
  html,
  resuming,
  ScriptedServer,
  status,
  stream,
} from '../../test/support/scripted-server.js';
import { until } from '../../test/support/until.js';
import type { ConnectOptions, SseSource } from './index.js';
import { createSource } from './source.js';

const sources: SseSource[] = [];
const proxies: Proxy[] = [];
afterEach(() => {
  for (const source of sources.splice(0)) source.close();
  for (const proxy of proxies.splice(0)) proxy.close();
});

/** The delays of these tests: a hundredth of the usual ones. */
const SECOND_MS = 10;

/** A source, the data of its events, and the states that it had. */
function open(url: string, options: ConnectOptions = {}) {
  const source: SseSource = createSource(url, options, SECOND_MS);
  sources.push(source);
  const got: unknown[] = [];
  const states: string[] = [];
  source.on('message', (data) => got.push(data));
  source.on('sse.state', (state) => states.push(state));
  return { source, got, states };
}

const EVENTS = ['id: 1\ndata: {"a":"ä"}\n\n', 'id: 2\ndata: "b"\n\n', 'id: 3\ndata: c\n\n'];
const WHOLE = Buffer.from(`retry: 1\n:heartbeat 15000\n${EVENTS.join('')}`);
const resume = resuming(EVENTS);
const cutAfter = (length: number) => breaking(WHOLE.subarray(0, length));

describe('A source reconnects', () => {
  it('where the connection breaks after any byte, and delivers each event once', async () => {
    for (let length = 0; length < WHOLE.length; length++) {
      const server = await ScriptedServer.start(cutAfter(length), resume);
      const { source, got } = open(server.url);
      await until(() => got.length === 3);
      source.close();
      const complete = WHOLE.subarray(0, length).toString().split('\n\n').length - 1;
      expect([length, got, server.ids]).toEqual([
        length,
        [{ a: 'ä' }, 'b', 'c'],
        ['-', complete ? `${complete}` : '-'],
      ]);
    }
  });

  it('where the server ends the response, refuses the connection, or is not there', async () => {
    const server = await ScriptedServer.start(events(`retry: 1\n${EVENTS[0]}`), hangUp, hangUp, resume);
    const { got, states } = open(server.url);
    await until(() => got.length === 3);
    expect(server.ids).toEqual(['-', '1', '1', '1']);
    expect(states.join(' ')).toBe(`open ${'waiting connecting '.repeat(3)}open`);
    const nowhere = open(`http://127.0.0.1:${await freePort()}`);
    await until(() => nowhere.states.length > 4);
    expect(nowhere.source.error).toMatchObject({ name: 'TypeError', message: 'fetch failed' });
  });

  it.each([500, 502, 503, 504, 408, 429])('while the server answers %i', async (code) => {
    const server = await ScriptedServer.start(
      cutAfter(WHOLE.length - 1),
      ...Array.from({ length: 5 }, () => status(code, {}, 'Bad gateway')),
      resume,
    );
    const { source, got, states } = open(server.url);
    await until(() => source.error?.status === code);
    expect(source.error?.message).toContain(`status ${code}`);
    await until(() => got.length === 3);
    expect([source.state, source.error]).toEqual(['open', undefined]);
    expect(server.ids).toEqual(['-', '2', '2', '2', '2', '2', '2']);
    expect(states.at(-1)).toBe('open');
  });

  it('after Retry-After in seconds or as a date, and not before the reconnection time of the server', async () => {
    const date = new Date(Date.now() + 3_000).toUTCString();
    const server = await ScriptedServer.start(
      status(429, { 'retry-after': '1' }),
      status(503, { 'retry-after': date }),
      events('retry: 300\n'),
      status(503, { 'retry-after': 'soon' }),
      stream(),
    );
    const { source } = open(server.url);
    await until(() => server.requests.length === 5);
    const [afterSeconds, , afterEnd, afterNonsense] = server.gaps;
    expect(afterSeconds).toBeGreaterThan(990);
    // A date has whole seconds.
    expect(performance.timeOrigin + server.requests[2]!.at).toBeGreaterThan(Date.parse(date) - 10);
    expect([afterEnd! > 290, afterNonsense! > 290]).toEqual([true, true]);
    await until(() => source.state === 'open');
  });

  it('where nothing arrives for 2.5 heartbeats, of the interval that the server names', async () => {
    const server = await ScriptedServer.start(stream(`retry: 1\n:heartbeat 80\n${EVENTS[0]}`), resume);
    const { source, got } = open(server.url);
    const errors: unknown[] = [];
    source.on('sse.state', () => errors.push(source.error?.message));
    await until(() => got.length === 3);
    expect(server.gaps[0]).toBeGreaterThan(190);
    expect(errors[1]).toBe('Nothing arrived');
    // The first connection is closed.
    await until(() => server.open.size === 1);
    expect(server.ids).toEqual(['-', '1']);
  });

  it('not while heartbeats arrive', async () => {
    const server = await ScriptedServer.start((response, request) => {
      stream(':heartbeat 400\n')(response, request);
      const timer = setInterval(() => response.write(':\n'), 200);
      response.on('close', () => clearInterval(timer));
    });
    const { source, states } = open(server.url);
    await until(() => source.state === 'open');
    const since = performance.now();
    await until(() => performance.now() - since > 3_000, Boolean, 10_000);
    expect([states, server.requests.length]).toEqual([['open'], 1]);
  });

  it('where a proxy swallows the bytes of the server', async () => {
    const server = await ScriptedServer.start(stream(`retry: 1\n:heartbeat 80\n${EVENTS[0]}`), resume);
    const proxy = await Proxy.start(server.port);
    proxies.push(proxy);
    const { got } = open(proxy.url.replace(/^redis(.*)\/0$/, 'http$1/feed'));
    await until(() => got.length === 1);
    proxy.dropDown = true;
    await until(() => server.requests.length === 2);
    proxy.dropDown = false;
    proxy.cut();
    await until(() => got.length === 3);
    expect(new Set(server.ids)).toEqual(new Set(['-', '1']));
  });

  it('through the same redirect', async () => {
    const target = await ScriptedServer.start(cutAfter(WHOLE.length - 1), resume);
    const server = await ScriptedServer.start(status(307, { location: target.url }));
    const { got } = open(server.url);
    await until(() => got.length === 3);
    expect([server.ids, target.ids]).toEqual([
      ['-', '2'],
      ['-', '2'],
    ]);
  });

  it('after the longest delay where it gets a page with status 200, and fails after five in a row', async () => {
    const server = await ScriptedServer.start(html, html, html, html, stream('retry: 1\n\n'));
    const { source } = open(server.url);
    await until(() => source.state === 'open');
    expect(Math.min(...server.gaps)).toBeGreaterThan(30 * SECOND_MS - 10);
    server.answers = [html, html, html, html, status(502), html];
    for (const response of server.open) response.destroy();
    await until(() => source.state === 'failed');
    expect(source.error).toMatchObject({ status: 200, message: expect.stringContaining('text/html') });
    expect(server.requests).toHaveLength(5 + 4 + 1 + 5);
  });

  it.each([400, 404, 410, 201, 304])('not after %i, which is final', async (code) => {
    const server = await ScriptedServer.start(status(code));
    const { source, states } = open(server.url);
    await until(() => source.state === 'failed');
    expect(source.error).toMatchObject({ status: code });
    expect([states, server.requests.length]).toEqual([['failed'], 1]);
    await expect(source[Symbol.asyncIterator]().next()).rejects.toBe(source.error);
  });
});

describe('A source that waits', () => {
  it('makes no further attempt after close(), also in a listener of its state', async () => {
    const server = await ScriptedServer.start(status(503, { 'retry-after': '3600' }));
    const { source } = open(server.url);
    await until(() => source.state === 'waiting');
    source.close();
    const other = open(server.url);
    other.source.on('sse.state', () => other.source.close());
    await until(() => other.source.state === 'ended');
    expect([other.states, server.requests.length]).toEqual([['waiting', 'ended'], 2]);
  });
});

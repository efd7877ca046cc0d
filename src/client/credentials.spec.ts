import { afterEach, describe, expect, it } from '@jest/globals';
import {
  type Answer,
  events,
  hangUp,
  ScriptedServer,
  status,
  stream,
} from '../../test/support/scripted-server.js';
import { until } from '../../test/support/until.js';
import type { ConnectOptions, SseSource } from './index.js';
import { createSource } from './source.js';

const sources: SseSource[] = [];
afterEach(() => {
  for (const source of sources.splice(0)) source.close();
});
function open(url: string, options: ConnectOptions) {
  const source: SseSource = createSource(url, options, 10);
  sources.push(source);
  return source;
}
/** Lets only some tokens in. */
const guarded =
  (isValid: (token: string) => boolean, code = 401): Answer =>
  (response, request) =>
    (isValid(`${request.headers.authorization}`) ? stream('id: 1\ndata: in\n\n') : status(code))(
      response,
      request,
    );
const END = 'event: sse.end\ndata: {}\n\n';

describe('The headers of a source', () => {
  it('are sent with each request, and do not replace its own', async () => {
    const server = await ScriptedServer.start(events('retry: 1\nid: 1\n\n'), stream());
    open(server.url, { headers: { authorization: 'Bearer a', Accept: 'text/plain', 'Last-Event-ID': 'x' } });
    await until(() => server.requests.length === 2);
    for (const { headers } of server.requests) {
      expect(headers).toMatchObject({ authorization: 'Bearer a', accept: 'text/event-stream' });
    }
    expect(server.ids).toEqual(['x', '1']);
  });

  it('are asked for before each attempt', async () => {
    let calls = 0;
    const server = await ScriptedServer.start(events('retry: 1\n\n'), hangUp, status(502), stream());
    const source = open(server.url, { headers: async () => ({ authorization: `${++calls}` }) });
    await until(() => server.requests.length === 4 && source.state === 'open');
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['1', '2', '3', '4']);
  });

  it.each([401, 403])('are asked for once more after %i, and a fresh token is used', async (code) => {
    const server = await ScriptedServer.start(guarded((token) => token === 'fresh', code));
    const reasons: unknown[] = [];
    const source = open(server.url, {
      headers: () => {
        reasons.push(source.error?.status);
        return { authorization: source.error ? 'fresh' : 'stale' };
      },
    });
    await until(() => source.lastEventId === '1');
    expect([reasons, source.error]).toEqual([[undefined, code], undefined]);
    // Once more in the next connection, too.
    server.answers = [guarded(() => false, code)];
    for (const response of server.open) response.destroy();
    await until(() => source.state === 'failed');
    expect(source.error).toMatchObject({ status: code });
    expect(server.requests).toHaveLength(4);
  });

  it('are not sent again after a 401 where they are fixed', async () => {
    const server = await ScriptedServer.start(guarded(() => false));
    const source = open(server.url, { headers: { authorization: 'stale' } });
    await until(() => source.state === 'failed');
    expect(server.requests).toHaveLength(1);
  });

  it('are asked for again where that fails, and a refusal of the application is final', async () => {
    const server = await ScriptedServer.start(stream());
    let calls = 0;
    const source = open(server.url, {
      headers: () => {
        calls++;
        // oxlint-disable-next-line no-throw-literal, only-throw-error -- an application may
        if (calls === 1) throw undefined;
        if (calls === 2) throw new TypeError('No network');
        return Promise.resolve({});
      },
    });
    await until(() => source.state === 'open');
    expect(calls).toBe(3);
    const refused = open(server.url, {
      headers: () => Promise.reject(Object.assign(new Error('Logged out'), { status: 401 })),
    });
    await until(() => refused.state === 'failed');
    expect(refused.error?.message).toBe('Logged out');
    expect(server.requests).toHaveLength(1);
  });
});

describe('The ticket of a source', () => {
  it('is a new one for each request, beside the query of the URL', async () => {
    let calls = 0;
    const server = await ScriptedServer.start(status(401), events('retry: 1\n\n'), hangUp, stream());
    const source = open(`${server.url}?channel=a%20b&ticket=old#top`, { ticket: async () => `t&${++calls}` });
    await until(() => server.requests.length === 4 && source.state === 'open');
    const queries = server.requests.map(({ url }) =>
      Object.fromEntries(new URL(url, server.url).searchParams),
    );
    expect(queries).toEqual([1, 2, 3, 4].map((n) => ({ channel: 'a b', ticket: `t&${n}` })));
  });

  it('is asked for again where the application has none', async () => {
    const tickets = [undefined, '', 'right'] as string[];
    const server = await ScriptedServer.start(stream('retry: 1\n'));
    const source = open(server.url, { ticket: async () => tickets.shift()! });
    await until(() => source.state === 'open');
    expect(server.requests.map(({ url }) => url)).toEqual(['/feed?ticket=right']);
  });

  it('is refused twice, and the source fails without showing it', async () => {
    const server = await ScriptedServer.start(status(401));
    const source = open(server.url, { ticket: async () => 'secret' });
    await until(() => source.state === 'failed');
    expect(server.requests).toHaveLength(2);
    expect(`${source.error!.stack} ${JSON.stringify(source.error)}`).not.toContain('secret');
  });
});

describe('The snapshot of a source', () => {
  it('is loaded before the first connection, and again after a reset, but not when the connection breaks', async () => {
    const server = await ScriptedServer.start(
      events('retry: 1\nid: 11\ndata: a\n\n'),
      stream('id: 15\nevent: sse.reset\ndata: {"reason":"lost"}\n\nid: 16\ndata: before the snapshot\n\n'),
      stream(`id: 21\ndata: b\n\n${END}`),
    );
    const log: unknown[] = [];
    let position = 0;
    const source = open(server.url, {
      snapshot: async () => {
        log.push('snapshot');
        return { lastEventId: `${(position += 10)}`, state: 'more' };
      },
    });
    source.on('sse.reset', () => log.push('reset')).on('message', (data) => log.push(data));
    await until(() => source.state === 'ended');
    expect(log).toEqual(['snapshot', 'a', 'reset', 'snapshot', 'b']);
    expect(server.ids).toEqual(['10', '11', '20']);
    await until(() => server.open.size === 0);
  });

  it('is loaded after a reset only where the source has a last event id', async () => {
    const server = await ScriptedServer.start(stream('id: 5\nevent: sse.reset\ndata: {}\n\n'), stream());
    let calls = 0;
    const source = open(server.url, {
      lastEventId: '3',
      snapshot: async () => ({ lastEventId: `${7 + calls++}` }),
    });
    await until(() => source.state === 'open' && calls === 1);
    expect([server.ids, calls]).toEqual([['3', '7'], 1]);
  });

  it('is loaded again where that fails, or it names no position', async () => {
    const server = await ScriptedServer.start(stream());
    const results = [
      () => Promise.reject(new Error('Database down')),
      () => Promise.resolve({} as { lastEventId: string }),
      () => Promise.resolve({ lastEventId: 'a\nb' }),
      () => Promise.resolve({ lastEventId: '4' }),
    ];
    const errors: unknown[] = [];
    const source = open(server.url, { snapshot: () => results.shift()!() });
    source.on('sse.state', (state) => state === 'waiting' && errors.push(source.error!.message));
    await until(() => source.state === 'open');
    const wrong = 'Expected `lastEventId` to be a string without line breaks, got';
    expect(errors).toEqual(['Database down', `${wrong} undefined`, `${wrong} a\nb`]);
    expect(server.ids).toEqual(['4']);
  });

  it('does not delay close()', async () => {
    const server = await ScriptedServer.start(stream());
    let load: (snapshot: { lastEventId: string }) => void;
    const source = open(server.url, { snapshot: () => new Promise((resolve) => (load = resolve)) });
    const next = source[Symbol.asyncIterator]().next();
    await Promise.resolve();
    source.close();
    expect(await next).toEqual({ done: true, value: undefined });
    load!({ lastEventId: '1' });
    const other = open(server.url, {});
    await until(() => other.state === 'open');
    expect([source.lastEventId, server.ids]).toEqual(['', ['-']]);
  });
});

import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { events, ScriptedServer, status, stream } from '../../test/support/scripted-server.js';
import { until } from '../../test/support/until.js';
import { connect, type SseClientEvent, type SseSource } from './index.js';

const sources: SseSource[] = [];
afterEach(() => {
  jest.restoreAllMocks();
  for (const source of sources.splice(0)) source.close();
});
const open = (...[url, options]: Parameters<typeof connect>) => {
  const source = connect(url, options);
  sources.push(source);
  return source;
};
const END = 'event: sse.end\ndata: {"status":"done"}\n\n';
const all = async (source: SseSource) => {
  const got: SseClientEvent[] = [];
  for await (const event of source) got.push(event);
  return got;
};

describe('A source', () => {
  it('calls the listeners of an event type with its data and the event', async () => {
    const server = await ScriptedServer.start(
      stream(`data: hi\n\nevent: paid\nid: 7\ndata: {"amount":5}\n\n`),
    );
    const got: unknown[] = [];
    const source = open(server.url)
      .on('message', (data) => got.push(data))
      .on('paid', ({ amount }: { amount: number }, event) => got.push(amount, event));
    await until(() => got.length === 3);
    const event = { type: 'paid', data: { amount: 5 }, text: '{"amount":5}', id: '7' };
    expect(got).toEqual(['hi', 5, event]);
    expect([source.state, source.lastEventId]).toEqual(['open', '7']);
    expect(server.requests[0]!.headers).toMatchObject({ accept: 'text/event-stream' });
    expect(server.ids).toEqual(['-']);
  });

  it.each<[text: string, data: unknown]>([
    ['{"a":[1]}', { a: [1] }],
    ['null', null],
    ['12', 12],
    ['"text"', 'text'],
    ['text', 'text'],
    ['', ''],
    ['{"a":', '{"a":'],
    ['01', '01'],
    ['12345678901234567890', Number('12345678901234567890')],
    ['{"__proto__":1}', JSON.parse('{"__proto__":1}')],
  ])('has the value of data that is JSON, and the text as it was sent: %s', async (text, data) => {
    const server = await ScriptedServer.start(events(`data: ${text}\n\n${END}`));
    const [event] = await all(open(server.url));
    expect(event).toEqual({ type: 'message', id: '', data, text });
  });

  it('follows the ids of the events as EventSource does', async () => {
    const server = await ScriptedServer.start(
      events('id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid: 3\n\n:\n\n'),
      events('retry: 1\ndata: d\n\nid\ndata: e\n\n'),
      events(`data: f\n\n${END}`),
    );
    const got = await all(open(server.url));
    const seen = got.slice(0, -1).map(({ data, id }) => `${String(data)}${id}`);
    expect([seen, got.at(-1)!.id]).toEqual([['a1', 'b1', 'c1', 'd3', 'e', 'f'], '']);
    expect(server.ids).toEqual(['-', '3', '-']);
  });

  it('sends an id as UTF-8, as browsers do', async () => {
    const server = await ScriptedServer.start(events('retry: 1\nid: ünï😀\ndata: a\n\n'), stream());
    open(server.url);
    await until(() => server.requests.length === 2);
    expect(Buffer.from(server.ids[1]!, 'latin1').toString()).toBe('ünï😀');
  });

  it('continues after the id that it is given', async () => {
    const server = await ScriptedServer.start(stream());
    const source = open(new URL(server.url), { lastEventId: '5' });
    expect(source.lastEventId).toBe('5');
    await until(() => source.state === 'open');
    expect(server.ids).toEqual(['5']);
  });

  it('reports its states to listeners that are added in the same turn', async () => {
    const server = await ScriptedServer.start(events('retry: 1\n\n'), events(END));
    const states: string[] = [];
    const source = open(server.url);
    source.on('sse.state', (state, { type, id }) => states.push(`${state} ${type} ${id}`));
    expect(source.state).toBe('connecting');
    await until(() => source.state === 'ended');
    expect(states.map((line) => line.split(' ')[0])).toEqual('open waiting connecting open ended'.split(' '));
    expect(states[0]).toBe('open sse.state ');
  });

  it('does not take an event of a server for its state', async () => {
    const server = await ScriptedServer.start(events(`event: sse.state\nid: 1\ndata: "failed"\n\n${END}`));
    const states: string[] = [];
    const source = open(server.url).on('sse.state', (state) => states.push(state));
    expect((await all(source)).map(({ type }) => type)).toEqual(['sse.end']);
    expect(states).toEqual(['open', 'ended']);
    expect(source.lastEventId).toBe('1');
  });

  it('calls a listener once where once() added it, and not after off()', async () => {
    const server = await ScriptedServer.start(events(`data: 1\n\ndata: 2\n\ndata: 3\n\n${END}`));
    const got: unknown[] = [];
    const source = open(server.url);
    const never = () => got.push('never');
    const later = () => got.push('removed by an earlier listener');
    const again = () => got.push('once');
    source.once('message', again).on('message', never).off('message', never).off('other', never);
    source.once('message', () => void source.off('message', later).once('message', again));
    source.on('message', later).once('message', never).off('message', never);
    await until(() => source.state === 'ended');
    expect(got).toEqual(['once', 'once']);
  });

  it('reports a listener that throws, calls the others, and goes on', async () => {
    const report = jest.spyOn(console, 'error').mockReturnValue();
    const server = await ScriptedServer.start(events(`data: 1\n\ndata: 2\n\n${END}`));
    const got: unknown[] = [];
    const source = open(server.url).on('message', (data) => {
      throw new Error(`no ${String(data)}`);
    });
    source.on('message', (data) => got.push(data));
    await until(() => source.state === 'ended');
    expect(got).toEqual([1, 2]);
    expect(report.mock.calls).toEqual([[new Error('no 1')], [new Error('no 2')]]);
    expect(server.requests).toHaveLength(1);
  });

  it.each<[how: string, close: (source: SseSource, controller: AbortController) => void]>([
    ['by close()', (source) => source.close()],
    ['at the end of a `using` block', (source) => source[Symbol.dispose]()],
    ['by its signal', (_, controller) => controller.abort()],
  ])('ends %s, with its connection, between two events of a chunk', async (_, close) => {
    const server = await ScriptedServer.start(stream('data: 1\n\ndata: 2\n\n'));
    const controller = new AbortController();
    const got: unknown[] = [];
    const source = open(server.url, { signal: controller.signal });
    const iterated = all(source);
    source.on('message', (data) => {
      got.push(data);
      close(source, controller);
    });
    expect((await iterated).map(({ data }) => data)).toEqual([1]);
    await until(() => server.open.size === 0);
    expect([source.state, source.error, got]).toEqual(['ended', undefined, [1]]);
    expect(server.requests).toHaveLength(1);
  });

  it('makes no request where its signal is aborted before, or it is closed in the same turn', async () => {
    const server = await ScriptedServer.start(stream());
    const aborted = open(server.url, { signal: AbortSignal.abort() });
    const closed = open(server.url);
    closed.close();
    expect([aborted.state, closed.state]).toEqual(['ended', 'ended']);
    expect(await all(aborted)).toEqual([]);
    const other = open(server.url);
    await until(() => other.state === 'open');
    expect(server.requests).toHaveLength(1);
  });

  it('ends with sse.end, and with 204', async () => {
    const server = await ScriptedServer.start(stream(`id: 9\n${END}data: late\n\n`), status(204));
    const ended = open(server.url);
    expect((await all(ended)).map(({ type }) => type)).toEqual(['sse.end']);
    await until(() => server.open.size === 0);
    const nothing = open(server.url);
    expect(await all(nothing)).toEqual([]);
    expect([ended.state, ended.lastEventId, nothing.state]).toEqual(['ended', '9', 'ended']);
    expect(server.requests).toHaveLength(2);
  });

  it('refuses a listener that is no function', async () => {
    const source = open('http://127.0.0.1:1');
    expect(() => source.on('paid', undefined as never)).toThrow('Expected a function, got undefined');
    expect(() => source.once('paid', {} as never)).toThrow(TypeError);
  });
});

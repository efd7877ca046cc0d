import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Query } from '@nestjs/common';
import { Redis } from 'ioredis';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

@Controller()
class ChannelController {
  @SseChannel('channel')
  channel(@Query('channel') channel: string) {
    return channel;
  }
}

const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

/** Publications and subscriptions of other programs on the same Redis, with `prefix: ''`. */
describe.each(platforms)('The wire format on %s', (_, platform) => {
  let other: Redis;
  let sse: SseService;
  let url: string;
  let channel: string;

  beforeEach(async () => {
    other = new Redis(redisUrl());
    channel = randomPrefix();
    const imports = [SseModule.forRoot({ redis: redisUrl(), prefix: '' })];
    const started = await startApp(platform, { imports, controllers: [ChannelController] });
    url = started.url;
    sse = started.app.get(SseService);
  });
  afterEach(() => other.disconnect());

  const open = async () => {
    const client = await connect(`${url}/channel?channel=${channel}`);
    const { id } = await client.next();
    return { client, position: id };
  };
  const publish = (message: unknown) =>
    other.publish(channel, typeof message === 'string' ? message : JSON.stringify(message));

  it('delivers events that redis-cli publishes', async () => {
    const { client, position } = await open();
    execFileSync('redis-cli', ['-u', redisUrl(), 'PUBLISH', channel, '{"data":"from a shell"}']);
    expect(await client.next()).toEqual({ id: position, event: undefined, data: 'from a shell' });
  });

  it('delivers events that Invenio-SSE publishes, with type, id and retry', async () => {
    const { client, position } = await open();
    await publish({ data: { a: 1 }, event: 'cool', id: '12345', retry: 6000 });
    await publish({ data: ['x'], event: null, id: null, retry: null });
    await publish({ data: null, event: '', id: 7, retry: 0 });
    expect(await client.take(3)).toEqual([
      { id: '12345', event: 'cool', data: '{"a":1}' },
      { id: position, event: undefined, data: '["x"]' },
      { id: '7', event: undefined, data: 'null' },
    ]);
    expect(client.text).toContain('id: 12345\nretry: 6000\n');
  });

  it('delivers events that Flask-SSE publishes, with the key `type`', async () => {
    const { client } = await open();
    await publish({ data: { message: 'Hello!' }, type: 'greeting' });
    await publish({ data: 'text', type: 'greeting', id: 'x1', retry: 5 });
    expect(await client.take(2)).toMatchObject([
      { event: 'greeting', data: '{"message":"Hello!"}' },
      { event: 'greeting', data: 'text', id: 'x1' },
    ]);
  });

  it('publishes events that Invenio-SSE can read: its own keys, in its own format', async () => {
    const messages: unknown[] = [];
    const reader = other.duplicate();
    reader.on('message', (_channel, text: string) => messages.push(JSON.parse(text)));
    await reader.subscribe(channel);
    const cursor = await sse.publish({ a: 'é' }, { channel });
    await sse.publish('text', { channel, type: 'cool', id: 12345, retry: 6000 });
    await sse.publish(null, { channel, transient: true });
    await until(() => messages.length === 3);
    const link = { cursor: expect.stringMatching(/^\d+-\d+$/) };
    expect(messages).toEqual([
      { data: { a: 'é' }, event: null, id: cursor, retry: null, cursor, prev: link.cursor },
      { data: 'text', event: 'cool', id: '12345', retry: 6000, ...link, prev: cursor },
      { data: null, event: null, id: null, retry: null },
    ]);
    reader.disconnect();
  });

  /** Runs the script as documented. */
  const store = (id: string, nonce: string, message: string) => {
    const keys = ['history', 'meta', 'ids', 'ids:old'].map((name) => `{${channel}}:${name}`);
    const args = [...keys, ',', channel, message, id, nonce, '12345', '', ''];
    return execFileSync('redis-cli', ['-u', redisUrl(), '--eval', 'src/broker/redis/publish.lua', ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .toString()
      .trim();
  };

  it('accepts events with history from any program that runs the script as documented', async () => {
    const { client, position } = await open();
    const message = '"data":{"n":1},"event":"cool"}';
    const first = store('', 'nonce-1', `{${message}`);
    expect(store('mine', 'nonce-2', `{"id":"mine",${message}`)).toBe('mine');
    const events = [
      { id: first, event: 'cool', data: '{"n":1}' },
      { id: 'mine', event: 'cool', data: '{"n":1}' },
    ];
    expect(await client.take(2)).toEqual(events);
    const back = await connect(`${url}/channel?channel=${channel}&lastEventId=${position}`);
    expect(await back.take(2)).toEqual(events);
  });

  it('delivers data unchanged: no number loses digits', async () => {
    const { client, position } = await open();
    const data = '{ "id":1724442618569203714, "price":12.50, "far":1e400, "text":"\\u00e9" }';
    await publish(`{"data":${data},"id":1724442618569203714}`);
    expect(await client.next()).toEqual({ id: '1724442618569203714', event: undefined, data });
    const stored = store('', 'nonce-1', `{"data":${data}}`);
    expect(await client.next()).toMatchObject({ id: stored, data });
    const back = await connect(`${url}/channel?channel=${channel}&lastEventId=${position}`);
    expect(await back.next()).toMatchObject({ id: stored, data });
  });

  it('skips stored events with data that is nested too deeply', async () => {
    const { client, position } = await open();
    store('', 'nonce-1', `{"data":${deep(4_110)}}`);
    const id = await sse.publish('next', { channel });
    const back = await connect(`${url}/channel?channel=${channel}&lastEventId=${position}`);
    for (const each of [client, back]) expect(await each.next()).toMatchObject({ id, data: 'next' });
  });

  it.each(['2', '3'])(
    'skips entries of an unknown version, named %s, and continues after them',
    async (version) => {
      const id = await sse.publish(1, { channel });
      // The number of events of a page.
      const all = Array.from({ length: 100 }, (__, k) => id.replace(/\d+$/, (n) => `${Number(n) + 1 + k}`));
      for (const cursor of all)
        await other.xadd(`{${channel}}:history`, cursor, version, 'of another version');
      await other.hset(`{${channel}}:meta`, 'cursor', all.at(-1)!);
      const client = await connect(`${url}/channel?channel=${channel}&lastEventId=${id}`);
      const next = await sse.publish(2, { channel });
      expect(await client.next()).toMatchObject({ id: next, data: '2' });
      for (const position of [id, all.at(-1)]) {
        const back = await connect(`${url}/channel?channel=${channel}&lastEventId=${position}`);
        expect(await back.next()).toMatchObject({ id: next, data: '2' });
      }
    },
  );

  it.each([
    ['no JSON', 'hello'],
    ['a JSON text', '"hello"'],
    ['null', 'null'],
    ['an array', '[1]'],
    ['no data', { event: 'x' }],
    ['a control event', { data: 1, event: 'sse.reset' }],
    ['a control event by Flask’s key', { data: 1, type: 'sse.open' }],
    ['a line break in the type', { data: 1, event: 'a\nid: 7' }],
    ['a carriage return in the id', { data: 1, id: 'a\rb' }],
    ['NUL in the id', { data: 1, id: 'a\0b' }],
    ['an id that is no text', { data: 1, id: { a: 1 } }],
    ['a retry that is none', { data: 1, retry: -1 }],
    ['a cursor that is none', { data: 1, cursor: 'abc' }],
    ['a prev that is none', { data: 1, cursor: '1763884800000-1', prev: 5 }],
    ['data nested more than 500 levels deep', `{"data":${deep(501)}}`],
    ['data nested so deeply that JSON.stringify() fails', `{"data":${deep(200_000)}}`],
    ['more than 16 MiB', { data: 'x'.repeat(16 * 1_048_576) }],
  ])('drops a message with %s, counts it, and continues', async (_what, message) => {
    const { client } = await open();
    await publish(message);
    const id = await sse.publish('next', { channel });
    expect(await client.next()).toMatchObject({ id, data: 'next' });
    expect(sse.stats().dropped).toBe(1);
  });

  it('does not accept an id in the shape of a cursor from other programs', async () => {
    const { client, position } = await open();
    await publish({ data: 1, id: '1763884800000-5' });
    expect(await client.next()).toMatchObject({ data: '1', id: position });
  });

  it('keeps the chain intact when other programs publish', async () => {
    const { client } = await open();
    await sse.publish('a', { channel });
    await publish({ data: 'between', id: 'own' });
    await sse.publish('b', { channel });
    expect((await client.take(3)).map(({ data }) => data)).toEqual(['a', 'between', 'b']);
  });
});

import { request } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { SseChannel, SseModule, type SseService } from 'nestjs-sse-channels';
import { type Platform, platforms } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { startCompressed } from './support/compressed-app.js';
import { connectGzip } from './support/gzip-client.js';
import { BAD_CHANNELS, documentedInputs, startInput } from './support/input-app.js';
import { compileModule } from './support/nest-module.js';
import { until } from './support/until.js';

const JUNK_IDS = [
  '0',
  '-1',
  '$',
  '*',
  '+',
  '(1-0',
  '99999999999999-0',
  '1763884800000-5',
  '1, 2',
  'abcdefgh.1763884800000-5',
  'abcdefgh.1763884800000-5~x',
  '~~~',
  '__proto__',
  'é',
  'x'.repeat(10_000),
];

let sse: SseService;
let platform: Platform;
let url: string;

const isReset = async (client: SseClient) => {
  expect(client.status).toBe(200);
  expect(await client.next()).toMatchObject({ event: 'sse.reset' });
  const id = await sse.publish('live');
  expect(await client.next()).toMatchObject({ id, data: 'live' });
  client.close();
};

const isRefused = async (path: string) => {
  const client = await connect(url + path);
  expect(client.status).toBe(400);
  const body = JSON.parse(await client.body()) as { message: string };
  expect(body).toMatchObject({ statusCode: 400, message: expect.stringMatching(/^Expected .*`channel`/) });
};

const rows: Record<string, () => Promise<void>> = {
  'a channel that `publish` would refuse': async () => {
    for (const channel of BAD_CHANNELS) await isRefused(`/channel?channel=${encodeURIComponent(channel)}`);
    for (const channel of BAD_CHANNELS) expect(() => sse.messages(channel)).toThrow(/Expected `channel`/);
  },
  'no channel at all: `[]`, `undefined`, `null`': async () => {
    for (const what of ['array', 'undefined', 'null']) await isRefused(`/none?what=${what}`);
    expect(() => sse.messages([])).toThrow(/at least one `channel`/);
  },
  'more than 100 channels': async () => {
    const names = Array.from({ length: 101 }, (_, n) => `c${n}`);
    await isRefused(`/channel?${names.map((name) => `channel=${name}`).join('&')}`);
    expect(() => sse.messages(names)).toThrow(/at most 100 of `channel`, got 101/);
    const client = await connect(
      `${url}/channel?${names
        .slice(1)
        .map((name) => `channel=${name}`)
        .join('&')}`,
    );
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
  },
  'an unknown option, or an unknown key or an undefined `filter` in what a handler returns': async () => {
    expect(() => sse.messages('a', { lastEventID: 'x' } as object)).toThrow('`lastEventID`');
    for (const what of ['key', 'filter']) {
      expect((await connect(`${url}/none?what=${what}`)).status).toBe(400);
    }
  },
  'the same channel twice': async () => {
    const client = await connect(`${url}/channel?channel=a&channel=a`);
    expect(await client.next()).toMatchObject({ data: '{"channel":"a"}' });
  },
  'a Last-Event-ID that is not a known position': async () => {
    for (const id of JUNK_IDS) {
      const bytes = Buffer.from(id).toString('latin1');
      await isReset(await connect(`${url}/channel`, { 'last-event-id': bytes }));
      await isReset(await connect(`${url}/channel?lastEventId=${encodeURIComponent(id)}`));
    }
  },
  'a Last-Event-ID in the header and in the query': async () => {
    const id = await sse.publish('seen');
    const client = await connect(`${url}/channel?lastEventId=junk`, { 'last-event-id': id });
    await sse.publish('next');
    expect(await client.next()).toMatchObject({ data: 'next' });
  },
  '`lastEventId` several times in the query': async () => {
    for (const queryOf of [
      (old: string, seen: string) => `lastEventId=${old}&lastEventId=${seen}`,
      (_old: string, seen: string) => `lastEventId=${seen}&lastEventId=`,
    ]) {
      const [old, seen] = [await sse.publish('old'), await sse.publish('seen')];
      const client = await connect(`${url}/channel?${queryOf(old, seen)}`);
      const next = await sse.publish('next');
      expect((await client.next()).id).toBe(next);
    }
  },
  '`lastEventId` in the query that is not text': async () => {
    const client = await connect(`${url}/channel?lastEventId[a]=1&lastEventId=`);
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
  },
  'a `HEAD` request': async () => {
    const response = await new Promise<{ statusCode?: number; headers: object }>((resolve, reject) =>
      request(`${url}/channel`, { method: 'HEAD', agent: false }, resolve).on('error', reject).end(),
    );
    expect(response).toMatchObject({
      statusCode: 200,
      headers: { 'content-type': 'text/event-stream; charset=utf-8' },
    });
    expect(sse.stats().connections).toBe(0);
    // The response has no body: the response to the next request follows immediately.
    const socket = connectSocket(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    for (const method of ['HEAD', 'GET'])
      socket.write(`${method} /channel HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until(() => text.includes('sse.open'));
    expect(text.split('\r\n\r\n')[1]).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    socket.destroy();
  },
  'a `POST` request': async () => {
    const response = await fetch(`${url}/channel`, { method: 'POST' });
    expect(response.status).toBe(404);
  },
  '`Accept-Encoding` that prefers gzip (`gzip`, `*`, `identity;q=0.5, gzip`), with the option `compression`':
    async () => {
      const compressed = await startCompressed(platform);
      for (const accepted of ['gzip', '*', 'identity;q=0.5, gzip']) {
        const client = await connectGzip(`${compressed.url}/channel`, { 'accept-encoding': accepted });
        expect(client.response.headers['content-encoding']).toBe('gzip');
        expect(await client.next()).toMatchObject({ event: 'sse.open' });
      }
    },
  'no `Accept-Encoding`, `gzip;q=0`, an invalid weight, or `identity` with a higher one, with `compression`':
    async () => {
      const compressed = await startCompressed(platform);
      for (const accepted of ['', 'gzip;q=0', 'gzip;q=x', 'gzip;q=0.5, identity']) {
        const headers = accepted ? { 'accept-encoding': accepted } : undefined;
        const client = await connect(`${compressed.url}/channel`, headers);
        expect(client.headers['content-encoding']).toBeUndefined();
        expect(await client.next()).toMatchObject({ event: 'sse.open' });
      }
    },
  'an HTTP/1.0 request': async () => {
    const socket = connectSocket(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.write('GET /channel HTTP/1.0\r\n\r\n');
    await until(() => text.includes('sse.open'));
    await sse.publish('old');
    await until(() => text.includes('data: old\n\n'));
    socket.destroy();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toMatch(/^Connection: close\r$/im);
    expect(text).not.toMatch(/^Transfer-Encoding/im);
    expect(text).toMatch(
      /\r\n\r\nretry: \d+\n:heartbeat \d+\nevent: sse\.open\nid: \S+\ndata: .*\n\nid: \S+\ndata: old\n\n$/,
    );
  },
  'a `writeIntervalMs` of the module or of a route that is not a whole number from 0 to 1,000': async () => {
    for (const ms of [-1, 1_001, 2.5, '20', null]) {
      const options = { writeIntervalMs: ms as number };
      expect(() => SseChannel('x', options)).toThrow('expected `writeIntervalMs` to be a whole number');
      const application = compileModule({ imports: [SseModule.forRoot(options)] });
      await expect(application).rejects.toThrow(
        'expected `writeIntervalMs` to be a whole number from 0 to 1000',
      );
    }
  },
};

describe.each(platforms)('Subscribing on %s', (_, tested) => {
  beforeEach(async () => {
    platform = tested;
    ({ sse, url } = await startInput(platform));
  });

  it.each(Object.entries(rows))('%s', (_row, test) => test());
});

describe('The tests of subscribing', () => {
  it('are the rows of docs/input.md', () => {
    expect(Object.keys(rows)).toEqual(documentedInputs('Subscribing'));
  });
});

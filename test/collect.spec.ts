import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  Controller,
  Get,
  Headers,
  HttpCode,
  type INestApplication,
  type NestApplicationOptions,
  Param,
  Query,
  Res,
  Sse,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { fromQuery, LastEventId, SseChannel, SseService } from 'nestjs-sse-channels';
import {
  collect,
  type CollectedEvent,
  CollectError,
  type CollectOptions,
  SseTestingModule,
  SseTestingService,
} from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { until } from './support/until.js';

type AnyResponse = ServerResponse & { raw?: ServerResponse; hijack?(): void };

/** Takes a response over, as an event stream. */
function begin(response: AnyResponse): ServerResponse {
  response.hijack?.();
  return (response.raw ?? response).writeHead(200, { 'content-type': 'Text/Event-Stream;charset=utf-8' });
}

@Controller()
class StreamsController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('orders/:id')
  order(@Param('id') id: string) {
    return `order:${id}`;
  }

  @Sse('nest/:id')
  nest(@Param('id') id: string, @LastEventId() lastEventId?: string) {
    return this.sse.messages(`order:${id}`, { lastEventId });
  }

  @SseChannel('secret', { channel: fromQuery, allow: ['news'] })
  secret() {}

  @Get('chunks')
  chunks(@Res() response: AnyResponse, @Query('of') chunks: string[]) {
    const raw = begin(response);
    for (const chunk of [chunks].flat()) raw.write(chunk);
    raw.end();
  }

  @Get('request')
  request(@Res() response: AnyResponse, @Headers() headers: object) {
    begin(response).end(`data: ${JSON.stringify(headers)}\n\n`);
  }

  @Get('broken')
  broken(@Res() response: AnyResponse) {
    const raw = begin(response);
    raw.write('data: 1\n\n', () => raw.destroy());
  }

  @Get('silent')
  silent(@Res() response: AnyResponse) {
    response.hijack?.();
  }

  @Get('page')
  page() {
    return '<html>'.padEnd(2_000, 'x');
  }

  @Get('endless-page')
  endlessPage(@Res() response: AnyResponse) {
    response.hijack?.();
    (response.raw ?? response).writeHead(502, { 'content-type': 'text/html' }).write('<html>');
  }

  @Get('broken-page')
  brokenPage(@Res() response: AnyResponse) {
    response.hijack?.();
    const raw = (response.raw ?? response).writeHead(500, { 'content-type': 'text/html' });
    raw.write('<html>', () => raw.destroy());
  }

  @Get('hang-up')
  hangUp(@Res() response: AnyResponse) {
    response.hijack?.();
    (response.raw ?? response).destroy();
  }

  @Get('nothing')
  @HttpCode(204)
  nothing() {}
}

const apps: INestApplication[] = [];

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function create(adapter: ExpressAdapter | FastifyAdapter, options: NestApplicationOptions = {}) {
  const builder = Test.createTestingModule({
    imports: [SseTestingModule.forRoot()],
    controllers: [StreamsController],
  });
  const app = (await builder.compile()).createNestApplication(adapter, { logger: false, ...options });
  apps.push(app);
  return { app, sse: app.get(SseTestingService) };
}

const dataOf = (events: readonly CollectedEvent[]) => events.map(({ data }) => data);
const stream = (...chunks: string[]) =>
  `/chunks?${new URLSearchParams(chunks.map((chunk) => ['of', chunk]))}`;
/** The time limit where a test waits for it. */
const SOON = { timeoutMs: 2_000 };

describe.each(platforms)('collect() on %s', (_, platform) => {
  const start = () => create(platform());

  /** No connection is left; an application that never listened has none. */
  async function expectClosed(app: INestApplication) {
    const server = app.getHttpServer() as Server;
    const count = () =>
      new Promise<number>((resolve) =>
        server.getConnections((error, number) => resolve(error ? -1 : number)),
      );
    await until(count, (number) => number === 0);
  }

  async function failure(
    app: INestApplication,
    path: string,
    options?: CollectOptions,
  ): Promise<CollectError> {
    const error: unknown = await collect(app, path, options).then(
      () => new Error('It did not reject'),
      (reason: unknown) => reason,
    );
    await expectClosed(app);
    expect(error).toBeInstanceOf(CollectError);
    return error as CollectError;
  }

  it.each(['orders', 'nest'])('starts the application, and resolves to `count` events: %s', async (route) => {
    const { app, sse } = await start();
    const publish = async () => {
      const channel = 'order:7';
      await sse.publish({ amount: 5 }, { channel, type: 'paid', id: 'payment-5' });
      await sse.publish('in\ntwo lines', { channel });
      await sse.publish(12, { channel });
      await sse.publish('one too many', { channel });
    };
    const events = await collect(app, `/${route}/7`, { count: 3, whenOpen: publish });
    expect(events).toEqual([
      { id: 'payment-5', type: 'paid', data: { amount: 5 } },
      { id: sse.published[1]!.publishedId, type: 'message', data: 'in\ntwo lines' },
      { id: sse.published[2]!.publishedId, type: 'message', data: 12 },
    ]);
    expect(app.getHttpServer()).toMatchObject({ listening: true });
    await expectClosed(app);
    await until(() => sse.stats().streams === 0);
  });

  it('ends with the event that `until` accepts, or with `count`, whichever is first', async () => {
    const { app } = await start();
    const path = stream('data: {"n":1}\n\n', 'data: {"n":2}\n\ndata: {"n":3}\n\n', 'data: {"n":4}\n\n');
    const isSecond = ({ data }: CollectedEvent<{ n: number }>) => data.n === 2;
    expect(dataOf(await collect(app, path, { until: isSecond }))).toEqual([{ n: 1 }, { n: 2 }]);
    expect(dataOf(await collect(app, path, { until: isSecond, count: 1 }))).toEqual([{ n: 1 }]);
    expect(dataOf(await collect(app, path, { until: isSecond, count: 3 }))).toHaveLength(2);
  });

  it('resolves to all events when the server ends the response, where no end is given', async () => {
    const { app, sse } = await start();
    const whenOpen = async () => {
      await sse.publish('bye', { channel: 'order:7' });
      await sse.disconnect({ channel: 'order:7' });
    };
    expect(dataOf(await collect(app, '/orders/7', { whenOpen }))).toEqual(['bye']);
    expect(await collect(app, stream(': nothing\n\n'))).toEqual([]);
    await expectClosed(app);
  });

  it('parses events as they arrive: cut anywhere, and without the incomplete one at the end', async () => {
    const { app } = await start();
    const path = stream(
      'id: 1\r',
      '\ndata: [1,\r\ndata: 2]\r\r',
      'event: x\ndata:',
      ' no JSON\n\ndata: incomplete\n',
    );
    expect(await collect(app, path)).toEqual([
      { id: '1', type: 'message', data: [1, 2] },
      { id: '1', type: 'x', data: 'no JSON' },
    ]);
  });

  it('resumes after `lastEventId`, sent in UTF-8, and shows an sse.reset', async () => {
    const { app, sse } = await start();
    const first = await sse.feed('first', { channel: 'order:7' });
    await sse.feed('second', { channel: 'order:7' });
    const resume = (lastEventId: string) => collect(app, '/orders/7', { count: 1, lastEventId });
    expect(await resume(first)).toMatchObject([{ type: 'message', data: 'second' }]);
    expect(await resume('ünknown')).toMatchObject([{ type: 'sse.reset', data: { reason: 'unknown' } }]);
    sse.loseHistory('order:7');
    expect(await resume(first)).toMatchObject([{ type: 'sse.reset', data: { reason: 'lost' } }]);
  });

  it('sends the headers, and accepts event streams', async () => {
    const { app } = await start();
    const headers = { authorization: 'Bearer x', Cookie: 'a=b' };
    const [event] = await collect(app, '/request', { count: 1, headers, lastEventId: 'é' });
    expect(event!.data).toMatchObject({
      accept: 'text/event-stream',
      authorization: 'Bearer x',
      cookie: 'a=b',
      'last-event-id': Buffer.from('é').toString('latin1'),
    });
    for (const given of [new globalThis.Headers(headers), Object.create(headers) as typeof headers]) {
      const [same] = await collect(app, '/request', Object.create({ count: 1, headers: given }) as object);
      expect(same!.data).toMatchObject({ authorization: 'Bearer x', cookie: 'a=b' });
    }
    const [other] = await collect(app, '/request', { headers: { Accept: '*/*' } });
    expect(other!.data).toMatchObject({ accept: '*/*' });
  });

  it('encodes the path as a browser does', async () => {
    const { app } = await start();
    expect(dataOf(await collect(app, '/chunks?of=data: é%0a%0a&of=#x'))).toEqual(['é']);
    await expect(collect(app, '//orders/7')).rejects.toMatchObject({ status: 404 });
  });

  it('starts the application once for several collections', async () => {
    const { app, sse } = await start();
    const open = jest.fn();
    const both = ['/orders/7', '/nest/7'].map((path) =>
      collect(app, path, {
        count: 1,
        whenOpen: async () => {
          open();
          if (open.mock.calls.length === 2) await sse.publish('both', { channel: 'order:7' });
        },
      }),
    );
    expect(await Promise.all(both)).toMatchObject([[{ data: 'both' }], [{ data: 'both' }]]);
  });

  it.each(['127.0.0.1', '0.0.0.0', '::', '::1', 'localhost'])(
    'uses an application that listens on %s',
    async (host) => {
      const { app } = await start();
      await app.listen(0, host);
      expect(dataOf(await collect(app, stream('data: 1\n\n')))).toEqual([1]);
    },
  );

  it('uses an application that listens on a Unix socket', async () => {
    const { app } = await start();
    await app.listen(join(tmpdir(), `collect-${process.pid}-${Math.random()}.sock`));
    expect(dataOf(await collect(app, stream('data: 1\n\n')))).toEqual([1]);
  });

  it('waits until `whenOpen` is done', async () => {
    const { app } = await start();
    const done = jest.fn();
    const whenOpen = async () => {
      // The connection is closed by then.
      await expectClosed(app);
      done();
    };
    await collect(app, stream('data: 1\n\n'), { count: 1, whenOpen });
    expect(done).toHaveBeenCalled();
  });

  it('rejects with what `whenOpen` and `until` throw', async () => {
    const { app } = await start();
    const fail = () => {
      throw new Error('mine');
    };
    const path = '/orders/7';
    await expect(collect(app, path, { whenOpen: fail })).rejects.toThrow('mine');
    await expect(collect(app, path, { whenOpen: async () => fail() })).rejects.toThrow('mine');
    await expect(collect(app, stream('data: 1\n\n'), { until: fail })).rejects.toThrow('mine');
    await expectClosed(app);
  });

  it('rejects an `until` that is async', async () => {
    const { app } = await start();
    const wrong = { until: (async () => false) as unknown as () => boolean };
    const message = 'Expected `until` to be a function that is not async, got a function';
    await expect(collect(app, stream('data: 1\n\n'), wrong)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message,
    });
    await expectClosed(app);
  });

  it('rejects another status or content type with the status and the beginning of the body', async () => {
    const { app } = await start();
    const whenOpen = jest.fn();
    const forbidden = await failure(app, '/secret?channel=x', { count: 1, whenOpen });
    expect(forbidden).toMatchObject({ status: 403, events: [] });
    expect(JSON.parse(forbidden.body!)).toMatchObject({ message: 'Forbidden' });
    expect(forbidden.message).toMatch(
      /^GET \/secret\?channel=x: expected 200 text\/event-stream, got 403 application\/json.*: \{.*"Forbidden"/,
    );
    const page = await failure(app, '/page');
    expect(page).toMatchObject({ status: 200, body: '<html>'.padEnd(1_000, 'x') });
    expect(page.message).toMatch(/got 200 text\/(html|plain); charset=utf-8: <html>xxx/);
    const nothing = await failure(app, '/nothing');
    expect(nothing).toMatchObject({ status: 204, body: '' });
    expect(nothing.message).toMatch(/got 204 without a content type$/);
    expect(await failure(app, '/endless-page', SOON)).toMatchObject({
      status: 502,
      body: '<html>',
    });
    expect(await failure(app, '/broken-page')).toMatchObject({ status: 500, body: '<html>' });
    expect(whenOpen).not.toHaveBeenCalled();
  });

  it('rejects, and lists what came, when the response ends too early', async () => {
    const { app } = await start();
    const path = stream('event: x\nid: 1\ndata: 1\n\n', 'data: two\n\n');
    const ended = await failure(app, path, { count: 3 });
    expect(ended.message).toBe(
      `GET ${path}: expected 3 events before the server ended the response, got 2:\n` +
        '  {"id":"1","type":"x","data":1}\n  {"id":"1","type":"message","data":"two"}',
    );
    expect(ended.events).toHaveLength(2);
    expect(ended.status).toBeUndefined();
    expect((await failure(app, path, { until: () => false })).message).toContain(
      'expected an event that `until` accepts before the server ended the response, got 2:',
    );
    expect((await failure(app, stream(':\n\n'), { count: 1, until: () => false })).message).toMatch(
      /expected 1 event, or an event that `until` accepts before .*, got none$/,
    );
  });

  it('rejects when the connection breaks, whatever end is given', async () => {
    const { app } = await start();
    expect((await failure(app, '/broken')).message).toMatch(
      /expected the end of the response before the connection broke, got 1:/,
    );
    expect((await failure(app, '/broken', { count: 2 })).message).toContain(
      'expected 2 events before the conn',
    );
    await expect(collect(app, '/broken', { count: 1 })).resolves.toHaveLength(1);
    const hungUp = await failure(app, '/hang-up');
    expect(hungUp.message).toBe('GET /hang-up: expected response headers, got socket hang up');
    expect(hungUp.cause).toMatchObject({ code: 'ECONNRESET' });
  });

  it('rejects at the time limit, and lists what came', async () => {
    const { app, sse } = await start();
    const whenOpen = async () => {
      for (let n = 0; n < 25; n++) await sse.publish('x'.repeat(n * 20), { channel: 'order:7' });
    };
    const { message, events } = await failure(app, '/orders/7', { count: 30, whenOpen, ...SOON });
    expect(message).toMatch(/^GET \/orders\/7: expected 30 events within 2000 ms, got 25:\n {2}\{/);
    expect(message).toMatch(/\n {2}… and 5 more$/);
    expect(Math.max(...message.split('\n').map(({ length }) => length))).toBeLessThan(210);
    expect(events).toHaveLength(25);
    expect((await failure(app, '/orders/7', SOON)).message).toContain(
      'the end of the response within 2000 ms, got none',
    );
  });

  it('rejects at the time limit where no response headers came, or `whenOpen` is not done', async () => {
    const { app } = await start();
    const silent = await failure(app, '/silent', SOON);
    expect(silent.message).toBe('GET /silent: expected response headers within 2000 ms, got none');
    const hanging = { count: 1, whenOpen: () => new Promise(() => undefined), ...SOON };
    expect((await failure(app, stream('data: 1\n\n'), hanging)).message).toContain(
      'expected `whenOpen` to be done within 2000 ms, got 1:',
    );
  });

  it('rejects when the application closes', async () => {
    const { app } = await start();
    const closing = collect(app, '/orders/7', { count: 1, whenOpen: () => app.close() });
    await expect(closing).rejects.toThrow('expected 1 event before the server ended the response, got none');
  });

  it('leaves no timer and no socket behind', async () => {
    const resources = () =>
      process
        .getActiveResourcesInfo()
        .filter((name) => /TCP|Timeout/.test(name))
        .toSorted();
    const before = resources();
    const { app } = await start();
    await collect(app, stream('data: 1\n\n'), { count: 1 });
    await collect(app, '/orders/7', { timeoutMs: 10 }).catch(() => undefined);
    await collect(app, '/page').catch(() => undefined);
    await app.close();
    await until(resources, (after) => after.join() === before.join());
  });

  it.each<[options: object | null, message: string]>([
    [null, 'Expected `options` to be an object, got null'],
    [[], 'Expected `options` to be an object, got an array'],
    [Promise.resolve({ count: 1 }), 'Expected `options` to be an object, got a Promise'],
    [new Map([['count', 1]]), 'Expected `options` to be an object, got a Map'],
    [Object.create({ counts: 1 }) as object, 'got `counts`'],
    [
      { counts: 1 },
      'Expected one of the options count, until, lastEventId, headers, timeoutMs, whenOpen, got `counts`',
    ],
    [{ toString: 1 }, 'got `toString`'],
    [{ count: 0 }, 'Expected `count` to be a whole number, 1 and more, got 0'],
    [{ count: 1.5 }, 'got 1.5'],
    [{ count: '1' }, 'got "1"'],
    [{ count: undefined }, 'Expected `count` to be a whole number, 1 and more, got undefined'],
    [{ until: undefined }, 'Expected `until` to be a function, got undefined'],
    [{ until: true }, 'got true'],
    [
      { lastEventId: undefined },
      'Expected `lastEventId` to be an event id: a text without line breaks, not empty',
    ],
    [{ lastEventId: '' }, 'got ""'],
    [{ lastEventId: 'a\nb' }, 'got "a\\nb"'],
    [{ lastEventId: 7 }, 'got 7'],
    [{ headers: undefined }, 'Expected `headers` to be an object or a Headers, got undefined'],
    [{ headers: ['x'] }, 'Expected `headers` to be an object or a Headers, got an array'],
    [{ headers: new Map([['authorization', 'x']]) }, 'got a Map'],
    [{ headers: Promise.resolve({ authorization: 'x' }) }, 'got a Promise'],
    [
      { headers: { authorization: undefined } },
      'Expected `headers.authorization` to be a text, got undefined',
    ],
    [{ timeoutMs: 0 }, 'Expected `timeoutMs` to be a whole number of milliseconds, 1–600000, got 0'],
    [{ timeoutMs: 600_001 }, 'got 600001'],
    [{ timeoutMs: undefined }, 'got undefined'],
    [{ whenOpen: undefined }, 'Expected `whenOpen` to be a function, got undefined'],
  ])('rejects wrong options before it connects: %j', async (options, message) => {
    const { app } = await start();
    const collecting = collect(app, '/orders/7', options as CollectOptions);
    await expect(collecting).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringContaining(message),
    });
    expect(app.getHttpServer()).toMatchObject({ listening: false });
  });

  it('rejects what is no path, and a header that cannot be sent', async () => {
    const { app } = await start();
    const wrong = collect(app, 'orders/7');
    await expect(wrong).rejects.toThrow(
      'Expected `path` to be a path such as /orders/7/events, got "orders/7"',
    );
    await expect(collect(app, 7 as unknown as string)).rejects.toThrow('got 7');
    await expect(collect(app, '/orders/7', { headers: { x: 'a\nb' } })).rejects.toThrow('Invalid character');
  });
});

describe('collect()', () => {
  const files = { cert: 'test/support/tls/cert.pem', key: 'test/support/tls/key.pem' };
  const httpsOptions = { cert: readFileSync(files.cert), key: readFileSync(files.key) };

  it.each([
    ['Express', () => create(new ExpressAdapter(), { httpsOptions })],
    ['Fastify', () => create(new FastifyAdapter({ https: httpsOptions }))],
    [
      'HTTP/2',
      () => create(new FastifyAdapter({ http2: true, https: { ...httpsOptions, allowHTTP1: true } })),
    ],
  ])('reads an application with TLS and a certificate of its own: %s', async (_, start) => {
    const { app, sse } = await start();
    const whenOpen = () => sse.publish('secure', { channel: 'order:7' });
    expect(dataOf(await collect(app, '/orders/7', { count: 1, whenOpen }))).toEqual(['secure']);
  });

  it('rejects an application that speaks HTTP/2 alone', async () => {
    const plain = await create(new FastifyAdapter({ http2: true }));
    const message = 'Expected `app` to speak HTTP/1.1, got an application of HTTP/2 without TLS';
    await expect(collect(plain.app, '/orders/7')).rejects.toMatchObject({ code: 'SSE_INPUT', message });
    const secure = await create(new FastifyAdapter({ http2: true, https: httpsOptions }));
    await expect(collect(secure.app, '/orders/7')).rejects.toThrow('`allowHTTP1`');
  });

  it.each([null, undefined, {}, 'http://localhost:3000'])(
    'rejects what is no application: %p',
    async (app) => {
      await expect(collect(app as INestApplication, '/orders/7')).rejects.toThrow(
        'Expected `app` to be a Nest application, such as `module.createNestApplication()`, got',
      );
    },
  );
});

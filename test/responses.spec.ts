import type { Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Header,
  Param,
  ParseIntPipe,
  Query,
  Res,
  UseGuards,
} from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { Proxy } from './support/proxy.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

/** Closed by the test, so that a guard is at work for as long as that takes. */
let openGuard: () => void;
let guardEntered: Promise<void>;
let enter: () => void;

const slowGuard: CanActivate = {
  canActivate: () => {
    enter();
    return new Promise((resolve) => (openGuard = () => resolve(true)));
  },
};
const noGuard: CanActivate = {
  canActivate() {
    throw new ForbiddenException('not you');
  },
};
const headerGuard = (name: string, value: string): CanActivate => ({
  canActivate(context: ExecutionContext) {
    const response = context.switchToHttp().getResponse<{ header(name: string, value: string): void }>();
    response.header(name, value);
    return true;
  },
});

class Base {
  @SseChannel('inherited')
  inherited() {
    return 'inherited';
  }
}

@Controller()
class StreamController extends Base {
  @SseChannel(['one', 'two'])
  async paths(@Query('a') a = 'x', @Query('b') b = 'y') {
    return `${a}-${b}`;
  }

  @SseChannel('params/:id')
  params(@Param('id', ParseIntPipe) id: number, @Res({ passthrough: true }) response: object) {
    return `${id}-${typeof response}`;
  }

  @SseChannel('headers')
  @Header('X-Own', 'yes')
  @UseGuards(headerGuard('x-guard', 'also'))
  headers() {
    return 'sse';
  }

  @SseChannel('unfit')
  @UseGuards(headerGuard('x-user', '漢字'))
  unfit() {
    return 'sse';
  }

  @SseChannel('forbidden')
  @UseGuards(noGuard)
  forbidden() {
    return 'sse';
  }

  @SseChannel('throws')
  throws(): string {
    throw new ForbiddenException('not this');
  }

  @SseChannel('slow')
  @UseGuards(slowGuard)
  slow() {
    return 'sse';
  }

  @SseChannel('filter')
  filter() {
    return { channel: 'sse', filter: 'no function' as never };
  }

  @SseChannel('failing')
  failing() {
    return {
      channel: 'sse',
      filter: (): boolean => {
        throw new Error('this filter fails');
      },
    };
  }
}

const imports = [SseModule.forRoot({ heartbeatMs: 1_000 })];
const start = async (platform: Platform, options = imports) => {
  guardEntered = new Promise((resolve) => (enter = resolve));
  return startApp(platform, { imports: options, controllers: [StreamController] }, (app) =>
    app.enableCors({ origin: 'https://elsewhere.example', credentials: true }),
  );
};

describe.each(platforms)('An @SseChannel response on %s', (_, platform) => {
  it('has the head of an event stream that nothing may hold back', async () => {
    const { url } = await start(platform);
    const { status, headers } = await connect(`${url}/headers`);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      'x-own': 'yes',
      'x-guard': 'also',
      'access-control-allow-origin': 'https://elsewhere.example',
      'access-control-allow-credentials': 'true',
    });
  });

  it.each([
    ['one', 'x-y'],
    ['two?b=z', 'x-z'],
    ['inherited', 'inherited'],
  ])('is that of the handler’s channel, whatever its parameters: /%s', async (path, channel) => {
    const { url } = await start(platform);
    const client = await connect(`${url}/${path}`);
    expect(await client.next()).toMatchObject({ event: 'sse.open', data: JSON.stringify({ channel }) });
  });

  it('leaves a handler its own @Res', async () => {
    const { app, url } = await start(platform);
    const client = await connect(`${url}/params/7`);
    expect(await client.next()).toMatchObject({ data: '{"channel":"7-object"}' });
    await app.get(SseService).publish('still open', { channel: '7-object' });
    expect(await client.next()).toMatchObject({ data: 'still open' });
  });

  it.each([
    ['forbidden', 403, 'not you'],
    ['throws', 403, 'not this'],
    ['params/x', 400, 'numeric string'],
    ['filter', 400, '`filter`'],
    ['unfit', 500, 'Internal server error'],
  ])('is an error of the right status where the stream cannot begin: /%s', async (path, status, message) => {
    const { app, url } = await start(platform);
    const client = await connect(`${url}/${path}`);
    expect(client.status).toBe(status);
    expect(await client.body()).toContain(message);
    expect(app.get(SseService).stats().streams).toBe(0);
  });

  it('is cut where its filter throws, as an event is missing from it', async () => {
    const { app, url } = await start(platform);
    const [failing, other] = [await connect(`${url}/failing`), await connect(`${url}/headers`)];
    await Promise.all([failing.next(), other.next()]);
    await app.get(SseService).publish('x');
    await until(() => failing.ended);
    expect(await other.next()).toMatchObject({ data: 'x' });
  });

  it('is given up when the client leaves, also while a guard is at work', async () => {
    const { app, url } = await start(platform);
    const sse = app.get(SseService);
    const client = await connect(`${url}/headers`);
    expect(sse.stats().streams).toBe(1);
    client.close();
    await until(() => sse.stats().streams === 0);
    const controller = new AbortController();
    const request = fetch(`${url}/slow`, { signal: controller.signal }).catch(() => 'aborted');
    await guardEntered;
    controller.abort();
    expect(await request).toBe('aborted');
    await new Promise((resolve) => setImmediate(resolve));
    openGuard();
    await connect(`${url}/headers`);
    expect(sse.stats().streams).toBe(1);
  });

  it('stays with a client that reads, whatever is published in one turn', async () => {
    const { app, url } = await start(platform);
    const sse = app.get(SseService);
    const client = await connect(`${url}/headers`);
    await client.next();
    for (let n = 0; n < 5_000; n++) void sse.publish('x'.repeat(300));
    await client.take(5_000);
    await sse.publish('\n'.repeat(262_143));
    expect((await client.next()).data).toBe('\n'.repeat(262_143));
    await sse.publish('end');
    expect(await client.next()).toMatchObject({ data: 'end' });
  });

  it('has no head before its subscription is live, although others get their heartbeats', async () => {
    const proxy = await Proxy.start(Number(new URL(redisUrl()).port));
    const { app, url } = await start(platform, [
      SseModule.forRoot({ redis: proxy.url, prefix: randomPrefix(), heartbeatMs: 1_000 }),
    ]);
    const other = await connect(`${url}/inherited`);
    await until(() => other.comments.length > 0);
    proxy.holdSubscriber = true;
    const connecting = connect(`${url}/headers`);
    const beats = other.comments.length;
    await until(() => other.comments.length > beats);
    await app.get(SseService).publish('before the head');
    proxy.holdSubscriber = false;
    const client = await connecting;
    await app.get(SseService).publish('after the head');
    // What was published after the request, and before the head, may come, too.
    await until(() => client.events.at(-1)?.data === 'after the head');
    expect(client.events[0]).toMatchObject({ event: 'sse.open' });
    proxy.close();
  });

  it('has its own head after 2 s without a broker, although others get their heartbeats', async () => {
    const proxy = await Proxy.start(Number(new URL(redisUrl()).port));
    const { url } = await start(platform, [
      SseModule.forRoot({ redis: proxy.url, prefix: randomPrefix(), heartbeatMs: 1_000 }),
    ]);
    await connect(`${url}/inherited`);
    proxy.holdSubscriber = true;
    const client = await connect(`${url}/headers`);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    proxy.close();
  });

  it('stays open longer than the server lets a connection be idle', async () => {
    const { app, url } = await start(platform);
    (app.getHttpServer() as Server).setTimeout(200);
    const client = await connect(`${url}/headers`);
    await until(() => client.comments.length >= 2);
    expect(client.ended).toBe(false);
  });
});

describe('An @SseChannel response on Fastify only', () => {
  const sessions: { destroy(): void }[] = [];

  afterEach(() => sessions.splice(0).forEach((session) => session.destroy()));

  it('brings a client of HTTP/2 up to date at its pace', async () => {
    const { app, url } = await start(() => new FastifyAdapter({ http2: true }));
    const sse = app.get(SseService);
    const first = await sse.publish(0);
    for (let n = 1; n <= 40; n++) await sse.publish(`${n}`.padEnd(100_000));
    const session = connectHttp2(url);
    sessions.push(session);
    const headers = { ':path': '/headers', 'last-event-id': first };
    const stream = session.request(headers).setEncoding('utf8');
    let text = '';
    stream.on('data', (chunk: string) => (text += chunk));
    await until(() => text.includes('data: 40 ') || stream.destroyed);
    const numbers = [...text.matchAll(/^data: (\d+) /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(sse.stats().cut).toBe(0);
  });

  it('answers a request that is injected, until the application ends', async () => {
    const { app } = await start(() => new FastifyAdapter());
    const answer = (app as NestFastifyApplication).inject('/headers');
    const sse = app.get(SseService);
    await until(() => sse.stats().streams === 1);
    await sse.publish('injected');
    await app.close();
    expect((await answer).body).toMatch(/^retry: \d+\nevent: sse\.open\n[^]*data: injected\n\n$/);
  });

  it('streams over HTTP/2, and is given up when the client leaves while a guard is at work', async () => {
    const { app, url } = await start(() => new FastifyAdapter({ http2: true }));
    const sse = app.get(SseService);
    const session = connectHttp2(url);
    sessions.push(session);
    let text = '';
    const stream = session.request({ ':path': '/headers' }).setEncoding('utf8');
    stream.on('data', (chunk: string) => (text += chunk));
    await until(() => text.includes('sse.open'));
    await sse.publish('over HTTP/2');
    await until(() => text.includes('data: over HTTP/2\n\n'));
    stream.close();
    await until(() => sse.stats().streams === 0);
    const left = session.request({ ':path': '/slow' });
    await guardEntered;
    left.close();
    await new Promise((resolve) => left.once('close', resolve));
    await new Promise((resolve) => session.ping(resolve));
    openGuard();
    const next = session.request({ ':path': '/headers' });
    await new Promise((resolve) => next.once('response', resolve));
    expect(sse.stats().streams).toBe(1);
    session.destroy();
  });
});

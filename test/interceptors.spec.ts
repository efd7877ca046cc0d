import { setTimeout as sleep } from 'node:timers/promises';
import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import {
  type ArgumentsHost,
  type CallHandler,
  Catch,
  ConflictException,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
  StreamableFile,
} from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core';
import { describe, expect, it } from '@jest/globals';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { map, mergeMap, type Observable, retry, tap, timeout } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { until } from './support/until.js';

@Controller()
class NewsController {
  @SseChannel('news')
  news() {
    return 'news';
  }
}

/** An interceptor that transforms the value that the handler returns. */
const after = (
  work: (values: Observable<unknown>, set: (name: string, value: string) => void) => Observable<unknown>,
): NestInterceptor => ({
  intercept(context: ExecutionContext, next: CallHandler) {
    const response = context.switchToHttp().getResponse<{ header(name: string, value: string): unknown }>();
    return work(next.handle(), (name, value) => void response.header(name, value));
  },
});

const wrap = after((values) => values.pipe(map((data) => ({ data }))));

const global = (...interceptors: NestInterceptor[]): Provider[] =>
  interceptors.map((useValue) => ({ provide: APP_INTERCEPTOR, useValue }));
const cache: Provider = { provide: APP_INTERCEPTOR, useClass: CacheInterceptor };

/** Express sends an error as an object, and redirects itself. */
const ANSWERS_OF_FASTIFY: [string, (response: ErrorResponse) => unknown, number][] = [
  [
    'an error that has a status',
    (response) => response.send(Object.assign(new Error('no'), { statusCode: 403 })),
    403,
  ],
  ['a redirection', (response) => response.redirect('/login', 302), 302],
];

interface ErrorResponse {
  send(body: unknown): unknown;
  redirect(url: string, status: number): unknown;
  status(status: number): ErrorResponse;
}

describe.each(platforms)('Interceptors around @SseChannel() on %s', (platformName, platform) => {
  const start = async (...providers: Provider[]) => {
    const imports = [SseModule.forRoot(), CacheModule.register()];
    const { app, url } = await startApp(platform, { imports, providers, controllers: [NewsController] });
    return { sse: app.get(SseService), url: `${url}/news` };
  };

  it.each<[string, NestInterceptor[]]>([
    ['set headers', [after((values, set) => values.pipe(tap(() => set('X-After', 'set'))))]],
    [
      'set headers asynchronously',
      [
        after((values, set) =>
          values.pipe(
            mergeMap(async (value) => {
              await sleep(50);
              set('X-After', 'set');
              return value;
            }),
          ),
        ),
        wrap,
      ],
    ],
  ])('%s before the response headers are sent', async (_does, interceptors) => {
    const { url, sse } = await start(...global(...interceptors));
    const client = await connect(url);
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'x-after': 'set',
    });
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
    const id = await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ id, data: 'event' });
  });

  it.each<[string, NestInterceptor]>([
    ['wrap every value', wrap],
    ['emit null', after((values) => values.pipe(map(() => null)))],
    ['set a time limit', after((values) => values.pipe(timeout(60_000)))],
  ])('that %s change nothing', async (_does, interceptor) => {
    const { url, sse } = await start(...global(interceptor));
    const client = await connect(url);
    await client.next();
    expect(client.headers).not.toHaveProperty('etag');
    expect(client.headers).not.toHaveProperty('content-length');
    const id = await sse.publish({ n: 1 }, { channel: 'news' });
    expect(await client.next()).toMatchObject({ id, data: '{"n":1}' });
  });

  it.each<[number, NestInterceptor]>([
    [500, after((values) => values.pipe(map((value) => (value as { items: unknown[] }).items.length)))],
    [
      409,
      after((values) =>
        values.pipe(
          mergeMap(async () => {
            await sleep(10);
            throw new ConflictException();
          }),
        ),
      ),
    ],
  ])('that fail cause status %i, and open no connection', async (status, interceptor) => {
    const { url, sse } = await start(...global(interceptor));
    const client = await connect(url);
    expect(client.status).toBe(status);
    expect(JSON.parse(await client.body())).toMatchObject({ statusCode: status });
    expect(client.headers['content-type']).toContain('application/json');
    expect(sse.stats().connections).toBe(0);
  });

  it('that retry open one connection', async () => {
    let failures = 1;
    const fail = after((values) =>
      values.pipe(
        map((value) => {
          if (failures-- > 0) throw new Error('The first attempt');
          return value;
        }),
      ),
    );
    const { url, sse } = await start(
      ...global(
        after((values) => values.pipe(retry(2))),
        fail,
      ),
    );
    const client = await connect(url);
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
    const id = await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ id });
    expect(sse.stats().connections).toBe(1);
    client.close();
    await until(() => sse.stats().connections === 0);
  });

  it.each<[string, (response: ErrorResponse) => unknown, number]>([
    ...(platformName === 'Express' ? [] : ANSWERS_OF_FASTIFY),
    ['a status', (response) => response.status(410).send('gone'), 410],
  ])('whose failure a filter handles with %s open no connection', async (_what, reply, status) => {
    @Catch()
    class Filter implements ExceptionFilter {
      catch(_error: unknown, host: ArgumentsHost) {
        reply(host.switchToHttp().getResponse<ErrorResponse>());
      }
    }
    const fail = after((values) =>
      values.pipe(
        map(() => {
          throw new Error('after the handler');
        }),
      ),
    );
    const { url, sse } = await start(...global(fail), { provide: APP_FILTER, useClass: Filter });
    const client = await connect(url);
    expect(client.status).toBe(status);
    expect(client.headers['content-type'] ?? '').not.toContain('event-stream');
    expect(sse.stats().connections).toBe(0);
  });

  it('that cache do not store a connection as a value', async () => {
    const { url, sse } = await start(cache);
    for (let n = 0; n < 3; n++) {
      const client = await connect(url);
      expect(await client.next()).toMatchObject({ event: 'sse.open' });
      const id = await sse.publish(n, { channel: 'news' });
      expect(await client.next()).toMatchObject({ id });
      client.close();
    }
  });

  it.each<[string, Provider[]]>([
    ['from a cache', [cache, ...global(wrap)]],
    [
      'with a file instead',
      global(after((values) => values.pipe(map(() => new StreamableFile(Buffer.from('a file')))))),
    ],
  ])('that return %s leave no request pending', async (_does, providers) => {
    const { url, sse } = await start(...providers);
    const first = await connect(url);
    const second = await connect(url);
    await second.body();
    expect(second.status).toBe(200);
    expect(second.headers['content-type']).not.toContain('text/event-stream');
    first.close();
    expect(sse.stats().connections).toBeLessThanOrEqual(1);
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ArgumentsHost,
  Catch,
  ConflictException,
  Controller,
  type ExceptionFilter,
  Get,
  type NestInterceptor,
  type Provider,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { describe, expect, it } from '@jest/globals';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { EMPTY, from, map, mergeMap, type Observable, of, retry, tap, throwError } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';

/** What Express's response and Fastify's reply have in common. */
interface Answer {
  statusCode: number;
  status(code: number): Answer;
  send(body: unknown): unknown;
  header(name: string, value: string): unknown;
  redirect(url: string): unknown;
}

@Controller()
class NewsController {
  @SseChannel('news')
  news() {
    return 'news';
  }

  @SseChannel('with-response')
  withResponse(@Res() response: Answer) {
    response.header('X-Own', 'yes');
    return 'news';
  }

  @Get('plain')
  plain() {
    return { plain: true };
  }
}

type Work = (values: Observable<unknown>, answer: Answer) => Observable<unknown>;

const around = (work: Work): Provider => ({
  provide: APP_INTERCEPTOR,
  useValue: {
    intercept: (context, next) => work(next.handle(), context.switchToHttp().getResponse()),
  } satisfies NestInterceptor,
});

const failing = around((values) => values.pipe(mergeMap(() => throwError(() => new ConflictException()))));

const filter = (answer: (response: Answer) => unknown): Provider => {
  @Catch()
  class Filter implements ExceptionFilter {
    catch(_error: unknown, host: ArgumentsHost) {
      answer(host.switchToHttp().getResponse());
    }
  }
  return { provide: APP_FILTER, useClass: Filter };
};

describe.each(platforms)('A request to an @SseChannel() route on %s', (_, platform) => {
  const start = async (...providers: Provider[]) => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      providers,
      controllers: [NewsController],
    });
    return { sse: app.get(SseService), url };
  };

  it('that interceptors run twice opens one connection, which gets events', async () => {
    let failures = 0;
    const { url, sse } = await start(
      around((values) => values.pipe(retry(2))),
      around((values) =>
        values.pipe(
          mergeMap((value) => (failures++ === 0 ? throwError(() => new Error('once')) : of(value))),
        ),
      ),
    );
    const client = await connect(`${url}/news`);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
    const id = await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ id, data: 'event' });
    expect(sse.stats().streams).toBe(1);
    client.close();
  });

  it.each<[string, (response: Answer) => unknown]>([
    ['an error', (response) => response.send(Object.assign(new Error('no'), { statusCode: 403 }))],
    ['an error and its status', (response) => response.status(403).send(new Error('no'))],
    ['a redirection', (response) => response.redirect('/login')],
    ['status 200', (response) => response.status(200).send({ ok: false })],
    ['text', (response) => response.status(200).send('no')],
    ['status 204', (response) => response.status(204).send('')],
  ])(
    'that fails opens none: the client gets what an exception filter answers, as on any route (%s)',
    async (_what, answer) => {
      const { url, sse } = await start(failing, filter(answer));
      const [plain, client] = [await connect(`${url}/plain`), await connect(`${url}/news`)];
      expect(await client.body()).toBe(await plain.body());
      const headOf = ({ status, headers: { 'content-type': type, location } }: typeof client) => ({
        status,
        type,
        location,
      });
      expect(headOf(client)).toEqual(headOf(plain));
      expect(sse.stats().streams).toBe(0);
    },
  );

  it.each<[string, Work]>([
    [
      'and goes on',
      (values, answer) => values.pipe(tap(() => void answer.status(200).send({ closed: true }))),
    ],
    [
      'and waits',
      (values, answer) =>
        values.pipe(
          mergeMap(async (value) => {
            answer.status(200).send({ closed: true });
            await sleep(20);
            return value;
          }),
        ),
    ],
    [
      'in place of the handler',
      (_values, answer) => {
        answer.status(200).send({ closed: true });
        return of(undefined);
      },
    ],
  ])('that an interceptor answers itself, %s, opens none', async (_how, work) => {
    const { url, sse } = await start(around(work));
    const client = await connect(`${url}/news`);
    expect(JSON.parse(await client.body())).toEqual({ closed: true });
    expect(client.headers['content-type']).toContain('application/json');
    expect(sse.stats().streams).toBe(0);
  });

  it.each([403, 302, 304, 204])('whose status an interceptor sets to %i opens none', async (status) => {
    const { url, sse } = await start(
      around((values, answer) => values.pipe(tap(() => answer.status(status)))),
    );
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(status);
    await client.body();
    expect(sse.stats().streams).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ['an object', { cached: 1 }, '{"cached":1}'],
    ['text', 'cached', 'cached'],
    ['a file', () => new StreamableFile(Buffer.from('a file')), 'a file'],
    ['a response', () => new Response('a response'), 'a response'],
  ])('that an interceptor answers in place of the handler with %s gets that', async (_what, value, body) => {
    const { url, sse } = await start(around(() => of(typeof value === 'function' ? value() : value)));
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(200);
    expect(await client.body()).toBe(body);
    expect(sse.stats().streams).toBe(0);
  });

  it.each<[string, number, () => unknown]>([
    ['a file', 200, () => new StreamableFile(Buffer.from('no'))],
    ['a response', 403, () => new Response('no', { status: 403, headers: { 'X-Why': 'closed' } })],
    ['an empty response', 401, () => new Response(null, { status: 401 })],
  ])('whose value an interceptor replaces by %s opens none', async (_what, status, value) => {
    const { url, sse } = await start(around((values) => values.pipe(map(value))));
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(status);
    expect(await client.body()).toBe(status === 401 ? '' : 'no');
    expect(client.headers['x-why']).toBe(status === 403 ? 'closed' : undefined);
    expect(sse.stats().streams).toBe(0);
  });

  it.each<[string, Work]>([
    ['leave no value', (values) => values.pipe(mergeMap(() => EMPTY))],
    ['make a promise of a value that rejects', () => from(Promise.reject(new Error('gone')))],
  ])('whose interceptors %s is an error', async (_what, work) => {
    const { url, sse } = await start(around(work));
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(500);
    await client.body();
    expect(sse.stats().streams).toBe(0);
  });

  it('is served where its handler takes the response, whatever interceptors make of its value', async () => {
    const { url } = await start(around((values) => values.pipe(map(() => new Error('a value')))));
    for (const path of ['news', 'with-response']) {
      const client = await connect(`${url}/${path}`);
      expect(client.status).toBe(200);
      expect(await client.next()).toMatchObject({ event: 'sse.open' });
      expect(client.headers['x-own']).toBe(path === 'news' ? undefined : 'yes');
    }
    expect(await (await connect(`${url}/plain`)).body()).not.toContain('sse.open');
  });
});

describe('Fastify', () => {
  const start = async (
    adapter: FastifyAdapter,
    configure: (app: NestFastifyApplication) => unknown = () => undefined,
    ...providers: Provider[]
  ) => {
    const { app, url } = await startApp(
      () => adapter as never,
      { imports: [SseModule.forRoot()], controllers: [NewsController], providers },
      (starting) => void configure(starting as NestFastifyApplication),
    );
    return { sse: app.get(SseService), url: `${url}/news` };
  };
  const onSend = (hook: (reply: Answer) => unknown) => (app: NestFastifyApplication) =>
    app
      .getHttpAdapter()
      .getInstance()
      .addHook('onSend', async (_request, reply, payload) => {
        await hook(reply);
        return payload;
      });

  it.each([302, 204, 403])('opens no connection where an onSend hook sets status %i', async (status) => {
    const hook = (reply: Answer) => {
      reply.header('location', '/login');
      reply.status(status);
    };
    const { url, sse } = await start(new FastifyAdapter(), onSend(hook));
    const client = await connect(url);
    expect([client.status, client.headers.location]).toEqual([status, '/login']);
    await client.body();
    expect(sse.stats().streams).toBe(0);
  });

  it('sends what an interceptor has answered, also where onSend hooks take their time', async () => {
    const { url, sse } = await start(
      new FastifyAdapter(),
      onSend(() => sleep(50)),
      around((values, answer) => values.pipe(tap(() => void answer.send({ closed: true })))),
    );
    const client = await connect(url);
    expect(JSON.parse(await client.body())).toEqual({ closed: true });
    expect(sse.stats().streams).toBe(0);
  });

  it('answers 503 where an interceptor takes longer than `handlerTimeout`', async () => {
    let served: (() => void) | undefined;
    const late = new Promise<void>((resolve) => (served = resolve));
    const { url, sse } = await start(
      new FastifyAdapter({ handlerTimeout: 50 }),
      undefined,
      around((values) => values.pipe(mergeMap((value) => late.then(() => value)))),
    );
    const client = await connect(url);
    expect(client.status).toBe(503);
    await client.body();
    served!();
    expect(sse.stats().streams).toBe(0);
  });

  it('keeps a connection that is open for longer than `handlerTimeout`', async () => {
    const { url, sse } = await start(new FastifyAdapter({ handlerTimeout: 50 }));
    const client = await connect(url);
    await client.next();
    await sleep(100);
    await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ data: 'event' });
  });

  it('answers 500 where an onSend hook sets a header that cannot be sent', async () => {
    const { url, sse } = await start(
      new FastifyAdapter(),
      onSend((reply) => {
        if (!(reply as unknown as { request: { failed?: true } }).request.failed)
          reply.header('x-user', '漢字');
        (reply as unknown as { request: { failed?: true } }).request.failed = true;
      }),
    );
    const client = await connect(url);
    expect(client.status).toBe(500);
    await client.body();
    expect(sse.stats().streams).toBe(0);
  });
});

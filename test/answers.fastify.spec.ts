import { setTimeout as sleep } from 'node:timers/promises';
import type { Provider } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { describe, expect, it } from '@jest/globals';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { mergeMap, tap } from 'rxjs';
import { startApp } from './support/app.js';
import { connect } from './support/client.js';
import { type Answer, around, NewsController } from './support/interceptor-app.js';

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

  it.each([302, 204, 403])('opens no connection when an onSend hook sets status %i', async (status) => {
    const hook = (reply: Answer) => {
      reply.header('location', '/login');
      reply.status(status);
    };
    const { url, sse } = await start(new FastifyAdapter(), onSend(hook));
    const client = await connect(url);
    expect([client.status, client.headers.location]).toEqual([status, '/login']);
    await client.body();
    expect(sse.stats().connections).toBe(0);
  });

  it('sends the response of an interceptor, also when an onSend hook is slow', async () => {
    const { url, sse } = await start(
      new FastifyAdapter(),
      onSend(() => sleep(50)),
      around((values, answer) => values.pipe(tap(() => void answer.send({ closed: true })))),
    );
    const client = await connect(url);
    expect(JSON.parse(await client.body())).toEqual({ closed: true });
    expect(sse.stats().connections).toBe(0);
  });

  it('responds with 503 when an interceptor takes longer than `handlerTimeout`', async () => {
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
    expect(sse.stats().connections).toBe(0);
  });

  it('keeps a connection that is open for longer than `handlerTimeout`', async () => {
    const { url, sse } = await start(new FastifyAdapter({ handlerTimeout: 50 }));
    const client = await connect(url);
    await client.next();
    await sleep(100);
    await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ data: 'event' });
  });

  it('responds with 500 when an onSend hook sets an invalid header', async () => {
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
    expect(sse.stats().connections).toBe(0);
  });
});

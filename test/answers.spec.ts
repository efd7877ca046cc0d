import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ArgumentsHost,
  Catch,
  ConflictException,
  type ExceptionFilter,
  type Provider,
  StreamableFile,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { describe, expect, it } from '@jest/globals';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { EMPTY, from, map, mergeMap, of, retry, tap, throwError } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { type Answer, around, NewsController, type Work } from './support/interceptor-app.js';

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

  it('opens one connection that gets events, although interceptors run its handler twice', async () => {
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
    expect(sse.stats().connections).toBe(1);
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
    'opens no connection when it fails: the client gets the response of an exception filter, as on any route (%s)',
    async (_what, answer) => {
      const { url, sse } = await start(failing, filter(answer));
      const [plain, client] = [await connect(`${url}/plain`), await connect(`${url}/news`)];
      expect(await client.body()).toBe(await plain.body());
      const summaryOf = ({ status, headers: { 'content-type': type, location } }: typeof client) => ({
        status,
        type,
        location,
      });
      expect(summaryOf(client)).toEqual(summaryOf(plain));
      expect(sse.stats().connections).toBe(0);
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
      'instead of the handler',
      (_values, answer) => {
        answer.status(200).send({ closed: true });
        return of(undefined);
      },
    ],
  ])('opens no connection when an interceptor sends the response itself %s', async (_how, work) => {
    const { url, sse } = await start(around(work));
    const client = await connect(`${url}/news`);
    expect(JSON.parse(await client.body())).toEqual({ closed: true });
    expect(client.headers['content-type']).toContain('application/json');
    expect(sse.stats().connections).toBe(0);
  });

  it.each([403, 302, 304, 204])('opens no connection when an interceptor sets status %i', async (status) => {
    const { url, sse } = await start(
      around((values, answer) => values.pipe(tap(() => answer.status(status)))),
    );
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(status);
    await client.body();
    expect(sse.stats().connections).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ['an object', { cached: 1 }, '{"cached":1}'],
    ['text', 'cached', 'cached'],
    ['a file', () => new StreamableFile(Buffer.from('a file')), 'a file'],
    ['a response', () => new Response('a response'), 'a response'],
  ])('gets %s that an interceptor returns instead of the handler', async (_what, value, body) => {
    const { url, sse } = await start(around(() => of(typeof value === 'function' ? value() : value)));
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(200);
    expect(await client.body()).toBe(body);
    expect(sse.stats().connections).toBe(0);
  });

  it.each<[string, number, () => unknown]>([
    ['a file', 200, () => new StreamableFile(Buffer.from('no'))],
    ['a response', 403, () => new Response('no', { status: 403, headers: { 'X-Why': 'closed' } })],
    ['an empty response', 401, () => new Response(null, { status: 401 })],
  ])('opens no connection when an interceptor replaces its value with %s', async (_what, status, value) => {
    const { url, sse } = await start(around((values) => values.pipe(map(value))));
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(status);
    expect(await client.body()).toBe(status === 401 ? '' : 'no');
    expect(client.headers['x-why']).toBe(status === 403 ? 'closed' : undefined);
    expect(sse.stats().connections).toBe(0);
  });

  it.each<[string, Work]>([
    ['leave no value', (values) => values.pipe(mergeMap(() => EMPTY))],
    ['make a promise of a value that rejects', () => from(Promise.reject(new Error('gone')))],
  ])('fails with 500 when interceptors %s', async (_what, work) => {
    const { url, sse } = await start(around(work));
    const client = await connect(`${url}/news`);
    expect(client.status).toBe(500);
    await client.body();
    expect(sse.stats().connections).toBe(0);
  });

  it('opens a connection for any value that interceptors return, also when its handler injects the response', async () => {
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

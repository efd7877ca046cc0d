import type { Server, ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { Proxy } from './support/proxy.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { slowGuard, startRoutes } from './support/response-routes.js';
import { until } from './support/until.js';

describe.each(platforms)('An @SseChannel response on %s', (_, platform) => {
  it('has the headers of an event stream that no proxy buffers', async () => {
    const { url } = await startRoutes(platform);
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
  ])('opens the channel of the handler, with any parameters: /%s', async (path, channel) => {
    const { url } = await startRoutes(platform);
    const client = await connect(`${url}/${path}`);
    expect(await client.next()).toMatchObject({ event: 'sse.open', data: JSON.stringify({ channel }) });
  });

  it('lets a handler use @Res', async () => {
    const { app, url } = await startRoutes(platform);
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
  ])(
    'is an error with the right status if the connection cannot open: /%s',
    async (path, status, message) => {
      const { app, url } = await startRoutes(platform);
      const client = await connect(`${url}/${path}`);
      expect(client.status).toBe(status);
      expect(await client.body()).toContain(message);
      expect(app.get(SseService).stats().connections).toBe(0);
    },
  );

  it('closes when its filter throws, because an event is missing from it', async () => {
    const { app, url } = await startRoutes(platform);
    const [failing, other] = [await connect(`${url}/failing`), await connect(`${url}/headers`)];
    await Promise.all([failing.next(), other.next()]);
    await app.get(SseService).publish('x');
    await until(() => failing.ended);
    expect(await other.next()).toMatchObject({ data: 'x' });
  });

  it('closes when the client disconnects, also while a guard runs', async () => {
    const { app, url } = await startRoutes(platform);
    const sse = app.get(SseService);
    const client = await connect(`${url}/headers`);
    expect(sse.stats().connections).toBe(1);
    client.close();
    await until(() => sse.stats().connections === 0);
    const controller = new AbortController();
    const request = fetch(`${url}/slow`, { signal: controller.signal }).catch(() => 'aborted');
    await slowGuard.entered;
    controller.abort();
    expect(await request).toBe('aborted');
    await new Promise((resolve) => setImmediate(resolve));
    slowGuard.open();
    await connect(`${url}/headers`);
    expect(sse.stats().connections).toBe(1);
  });

  it('stays open for a client that reads, for any number of events in one turn', async () => {
    const { app, url } = await startRoutes(platform);
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

  it('sends no response headers before its subscription is live, while other connections get heartbeats', async () => {
    const proxy = await Proxy.start(Number(new URL(redisUrl()).port));
    const { app, url } = await startRoutes(platform, [
      SseModule.forRoot({ redis: proxy.url, prefix: randomPrefix(), heartbeatMs: 1_000 }),
    ]);
    const other = await connect(`${url}/inherited`);
    await until(() => other.comments.length > 0);
    proxy.holdSubscriber = true;
    const connecting = connect(`${url}/headers`);
    const beats = other.comments.length;
    await until(() => other.comments.length > beats);
    await app.get(SseService).publish('before the headers');
    proxy.holdSubscriber = false;
    const client = await connecting;
    await app.get(SseService).publish('after the headers');
    // An event published after the request and before the headers may arrive, too.
    await until(() => client.events.at(-1)?.data === 'after the headers');
    expect(client.events[0]).toMatchObject({ event: 'sse.open' });
    proxy.close();
  });

  it('sends its response headers after 2 s without a broker, while other connections get heartbeats', async () => {
    const proxy = await Proxy.start(Number(new URL(redisUrl()).port));
    const { url } = await startRoutes(platform, [
      SseModule.forRoot({ redis: proxy.url, prefix: randomPrefix(), heartbeatMs: 1_000 }),
    ]);
    await connect(`${url}/inherited`);
    proxy.holdSubscriber = true;
    const client = await connect(`${url}/headers`);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    proxy.close();
  });

  it('stays open longer than the idle timeout of the server', async () => {
    const { app, url } = await startRoutes(platform);
    const server = app.getHttpServer() as Server;
    server.setTimeout(200);
    const client = await connect(`${url}/headers`);
    // The response is kept for its listener.
    server.once('request', (__, response: ServerResponse) => response.on('close', () => {}));
    const kept = await connect(`${url}/headers`);
    await until(() => client.comments.length >= 2 && kept.comments.length >= 2);
    expect([client.ended, kept.ended]).toEqual([false, false]);
  });
});

describe('A request of app.inject() on Fastify', () => {
  it('gets events until the application closes', async () => {
    const { app } = await startRoutes(() => new FastifyAdapter());
    const answer = (app as NestFastifyApplication).inject('/headers');
    const sse = app.get(SseService);
    await until(() => sse.stats().connections === 1);
    await sse.publish('injected');
    await app.close();
    expect((await answer).body).toMatch(
      /^retry: \d+\n:heartbeat \d+\nevent: sse\.open\n[^]*data: injected\n\n$/,
    );
  });
});

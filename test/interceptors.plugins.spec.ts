import { Controller } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import compress from '@fastify/compress';
import cookie from '@fastify/cookie';
import { describe, expect, it } from '@jest/globals';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';

@Controller()
class NewsController {
  @SseChannel('news')
  news() {
    return 'news';
  }
}

describe('Plugins of Fastify', () => {
  const start = async (configure: (app: NestFastifyApplication) => unknown) => {
    const [, platform] = platforms[1];
    const configuring: unknown[] = [];
    const { app, url } = await startApp(
      platform,
      { imports: [SseModule.forRoot()], controllers: [NewsController] },
      (starting) => configuring.push(configure(starting as NestFastifyApplication)),
    );
    await Promise.all(configuring);
    return { sse: app.get(SseService), url: `${url}/news` };
  };

  it('may redirect instead of opening a connection', async () => {
    const { sse, url } = await start((created) =>
      created
        .getHttpAdapter()
        .getInstance()
        .addHook('onSend', async (_request, reply) => {
          void reply.code(302).header('location', '/login');
        }),
    );
    const client = await connect(url);
    expect([client.status, client.headers.location]).toEqual([302, '/login']);
    expect(sse.stats().connections).toBe(0);
  });

  it('send their cookies and headers, also on a connection to @SseChannel()', async () => {
    const { url, sse } = await start((app) => {
      const fastify = app.getHttpAdapter().getInstance();
      fastify.addHook('onRequest', async (_request, reply) => {
        (reply as unknown as { setCookie(name: string, value: string): unknown }).setCookie('seen', '2');
      });
      fastify.addHook('onSend', async (_request, reply, payload) => {
        reply.header('X-Sent', 'yes');
        return payload;
      });
      return app.register(cookie);
    });
    const client = await connect(url);
    expect(client.headers).toMatchObject({
      'x-sent': 'yes',
      'content-type': 'text/event-stream; charset=utf-8',
    });
    expect(client.headers['set-cookie']).toEqual(['seen=2; SameSite=Lax']);
    expect(client.headers).not.toHaveProperty('content-length');
    await client.next();
    await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ data: 'event' });
  });

  it('do not change the body, for any payload that they return', async () => {
    const { url, sse } = await start((app) => {
      app
        .getHttpAdapter()
        .getInstance()
        .addHook('onSend', async () => '{"wrapped":true}');
      return app.register(compress, { global: true, threshold: 0 });
    });
    const client = await connect(url, { 'accept-encoding': 'gzip' });
    expect(client.headers).not.toHaveProperty('content-encoding');
    await client.next();
    await sse.publish('event', { channel: 'news' });
    expect(await client.next()).toMatchObject({ data: 'event' });
    expect(client.text).not.toContain('wrapped');
  });

  it('that fail when headers are sent cause an error response, and open no connection', async () => {
    let failed = false;
    const { url, sse } = await start((app) =>
      app
        .getHttpAdapter()
        .getInstance()
        .addHook('onSend', async (_request, _reply, payload) => {
          if (failed) return payload;
          failed = true;
          throw new Error('no session');
        }),
    );
    const client = await connect(url);
    expect(client.status).toBeGreaterThanOrEqual(500);
    await client.body();
    expect(sse.stats().connections).toBe(0);
  });
});

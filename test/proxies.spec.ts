import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication, Injectable, ServiceUnavailableException } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { type Browser, chromium } from 'playwright-core';
import { type Platform, platforms, startApp } from './support/app.js';
import type { StreamClient } from './support/client.js';
import { freePort } from './support/port.js';
import { proxyNames, ReverseProxy } from './support/reverse-proxy.js';
import { StreamController } from './support/stream.controller.js';
import { until, within } from './support/until.js';

/** Within this a proxy has passed an event on, or holds it back. */
const AT_ONCE_MS = 1_000;

@Injectable()
class Health {
  ok = true;
  asked = 0;
}

@Controller('health')
class HealthController {
  constructor(private readonly health: Health) {}

  @Get()
  get() {
    this.health.asked++;
    if (!this.health.ok) throw new ServiceUnavailableException();
    return { status: 'ok', padding: ' '.repeat(1_000) };
  }
}

const start = async (
  platform: Platform,
  options: SseModuleOptions = {},
  configure?: (app: INestApplication) => void,
) => {
  const metadata = {
    imports: [SseModule.forRoot(options)],
    controllers: [StreamController, HealthController],
    providers: [Health],
  };
  const { app, url } = await startApp(platform, metadata, configure);
  return { sse: app.get(SseService), health: app.get(Health), url };
};

describe.each(proxyNames)('%s, as in docs/proxies.md,', (name) => {
  describe.each(platforms)('before %s', (_, platform) => {
    const stream = async () => {
      const { sse, url } = await start(platform);
      const proxy = await ReverseProxy.start(name, [url], name === 'nginx' ? { '30s': '1s' } : { '30s': '1s' });
      return { sse, proxy, client: await proxy.connect('/channel') };
    };

    it('passes the head and each event on at once, however small, and as they are', async () => {
      const { sse, client } = await stream();
      expect(client.headers).toMatchObject({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
      });
      await within(AT_ONCE_MS, 'sse.open', client.next());
      for (const data of [1, 2]) {
        const id = await sse.publish(data);
        expect(await within(AT_ONCE_MS, 'The event', client.next())).toMatchObject({ id, data: `${data}` });
      }
    });

    it('passes on that a client has left', async () => {
      const { sse, client } = await stream();
      await client.next();
      expect(sse.stats().streams).toBe(1);
      client.close();
      await until(() => sse.stats().streams === 0);
    });

    it('ends streams when it is reloaded, whose clients get what they missed through it', async () => {
      const { sse, proxy, client } = await stream();
      const { id } = await client.next();
      await proxy.restart();
      await until(() => client.ended);
      await sse.publish('missed');
      const again = await proxy.connect('/channel', { 'last-event-id': id! });
      expect(await again.next()).toMatchObject({ data: 'missed' });
      await sse.publish('next');
      expect(await again.next()).toMatchObject({ data: 'next' });
    });

    it('passes on which host was asked, for pages of old browsers with cookies', async () => {
      const { proxy } = await stream();
      const from = async (origin: string) =>
        (await proxy.connect('/channel', { cookie: 'a=b', origin })).status;
      expect([await from(proxy.url), await from('https://elsewhere.example')]).toEqual([200, 403]);
    });
  });
});

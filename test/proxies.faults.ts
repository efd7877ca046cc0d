import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable, ServiceUnavailableException } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import type { BrowserContext } from 'playwright-core';
import { type Platform, platforms, startApp } from './support/app.js';
import { launchChromium } from './support/chromium.js';
import type { StreamClient } from './support/client.js';
import { freePort } from './support/port.js';
import { type ProxyName, proxyNames, ReverseProxy } from './support/reverse-proxy.js';
import { StreamController } from './support/stream.controller.js';
import { until, within } from './support/until.js';

/** A proxy that holds an event back does so until the next heartbeat, which comes after 15 s. */
const AT_ONCE_MS = 10_000;
/** How long a test watches that something does not happen. */
const WATCH_MS = 1_000;

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

/** As docs/proxies.md has it. */
const trusting = [
  [
    'Express',
    () => {
      const adapter = new ExpressAdapter();
      adapter.set('trust proxy', '127.0.0.1');
      return adapter;
    },
  ],
  ['Fastify', () => new FastifyAdapter({ trustProxy: '127.0.0.1' })],
] as const;

const start = async (platform: Platform, options: SseModuleOptions = {}) => {
  const metadata = {
    imports: [SseModule.forRoot(options)],
    controllers: [StreamController, HealthController],
    providers: [Health],
  };
  const { app, url } = await startApp(platform, metadata);
  return { sse: app.get(SseService), health: app.get(Health), url };
};

describe.each(proxyNames)('%s, as in docs/proxies.md,', (name) => {
  describe.each(trusting)('before %s', (_, platform) => {
    const stream = async () => {
      const { sse, url } = await start(platform);
      const proxy = await ReverseProxy.start(name, [url], { '30s': '1s' });
      return { sse, proxy, client: await proxy.connect('/channel') };
    };

    it('passes the head and each event on at once, however small, and as they are', async () => {
      const { sse, client } = await stream();
      expect(client.headers).toMatchObject({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
        'x-accel-buffering': 'no',
      });
      await within(AT_ONCE_MS, 'sse.open', client.next());
      for (const data of [1, 2]) {
        const id = await sse.publish(data);
        expect(await within(AT_ONCE_MS, 'The event', client.next())).toMatchObject({ id, data: `${data}` });
      }
    });

    it('passes on at once what Nest sends under @Sse', async () => {
      const { sse, proxy } = await stream();
      const client = await proxy.connect('/sse');
      expect(client.headers).toMatchObject({ 'x-accel-buffering': 'no' });
      await until(() => sse.stats().streams === 2);
      await sse.publish('small');
      expect(await within(AT_ONCE_MS, 'The event', client.next())).toMatchObject({ data: 'small' });
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

    it('leaves a server that is down for the other one at once', async () => {
      const { url } = await start(platform);
      // HAProxy may not have noticed yet.
      const changes = name === 'haproxy' ? { 'check inter 2s fall 2 rise 2': 'no-check' } : undefined;
      const proxy = await ReverseProxy.start(name, [`http://127.0.0.1:${await freePort()}`, url], changes);
      for (let n = 0; n < 4; n++) {
        const client = await within(2_000, 'The head', proxy.connect('/channel'));
        expect(await client.next()).toMatchObject({ event: 'sse.open' });
      }
    });
  });

  it('gives a new stream to the server that has fewer', async () => {
    const [one, other] = [await start(platforms[0][1]), await start(platforms[0][1])];
    const proxy = await ReverseProxy.start(name, [one.url, other.url]);
    const streams = () => [one.sse.stats().streams, other.sse.stats().streams];
    const clients: StreamClient[] = [];
    while (clients.length < 6) clients.push(await proxy.connect('/channel'));
    expect(streams()).toEqual([3, 3]);
    await one.sse.publish('leave');
    const left = await until(
      () => clients.filter(({ text }) => text.includes('leave')),
      ({ length }) => length === 3,
    );
    for (const client of left) client.close();
    await until(() => one.sse.stats().streams === 0);
    for (let n = 0; n < 3; n++) await proxy.connect('/channel');
    expect(streams()).toEqual([3, 3]);
  });

  it.each(trusting)('tells %s the addresses of clients, which these cannot choose', async (_, platform) => {
    const { sse, url } = await start(platform, { limits: { connectionsPerAddress: 1 } });
    const proxy = await ReverseProxy.start(name, [url]);
    for (const address of ['127.0.0.2', '127.0.0.3']) {
      const client = await proxy.connect('/channel', {}, address);
      expect(await client.next()).toMatchObject({ event: 'sse.open' });
    }
    const forged = await proxy.connect('/channel', { 'x-forwarded-for': '127.0.0.4' }, '127.0.0.2');
    await until(() => forged.ended);
    expect([forged.events, sse.stats().refused]).toEqual([[], 1]);
  });
});

describe('An idle stream', () => {
  it('outlives the time-outs of both proxies by its heartbeats, and is cut without them', async () => {
    const open = async (heartbeatMs: number) => {
      const streams = proxyNames.flatMap((name) =>
        platforms.map(async ([, platform]) => {
          const { sse, url } = await start(platform, { heartbeatMs });
          const proxy = await ReverseProxy.start(name, [url], { '60s': '2s' });
          return { sse, client: await proxy.connect('/channel') };
        }),
      );
      return Promise.all(streams);
    };
    const [beating, silent] = await Promise.all([open(1_000), open(3_600_000)]);
    await until(() => silent.every(({ client }) => client.ended));
    await until(() => beating.every(({ client }) => client.comments.length > 4));
    for (const { sse, client } of beating) {
      await sse.publish('still there');
      expect(await client.take(2)).toMatchObject([{ event: 'sse.open' }, { data: 'still there' }]);
    }
  });
});

describe('nginx', () => {
  const gzip = { 'application/json;': 'application/json text/event-stream;' };
  const buffered = {
    'proxy_http_version 1.1;': 'proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering;',
  };

  it('would keep even the head until 16 KiB are there, but for X-Accel-Buffering', async () => {
    const { sse, url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start('nginx', [url], buffered);
    const opening = proxy.connect('/channel');
    await until(() => sse.stats().streams === 1);
    await expect(within(WATCH_MS, 'The head', opening)).rejects.toThrow('The head: not within');
    await sse.publish('x'.repeat(20_000));
    expect(await (await opening).next()).toMatchObject({ event: 'sse.open' });
  });

  it('compresses event streams if it is told to, and lets each event out all the same', async () => {
    const { sse, url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start('nginx', [url], gzip);
    const { response } = await proxy.connect('/channel', { 'accept-encoding': 'gzip' });
    expect(response.headers['content-encoding']).toBe('gzip');
    // The client takes it for text, of which every piece is another one.
    let text = '';
    response.removeAllListeners('data').on('data', (chunk: string) => (text += chunk));
    for (let n = 0; n < 3; n++) {
      const { length } = text;
      await sse.publish(n);
      await until(() => text.length > length, Boolean, AT_ONCE_MS);
    }
  });
});

describe('HAProxy', () => {
  it('sends each event at once without TLS, too, and would wait 200 ms for more, but for http-no-delay', async () => {
    const { sse, url } = await start(platforms[0][1]);
    const open = async (changes: Record<string, string>) => {
      const plain = { 'ssl crt /etc/haproxy/app.pem alpn h2,http/1.1': '' };
      const proxy = await ReverseProxy.start('haproxy', [url], { ...plain, ...changes });
      const client = await proxy.connect('/channel');
      await client.next();
      return async () => {
        const published = performance.now();
        await sse.publish('small');
        await client.next();
        return performance.now() - published;
      };
    };
    const quick = await open({});
    // On a busy machine some take longer, and never less.
    await until(async () => (await quick()) < 100);
    const slow = await open({ 'option http-no-delay': '' });
    for (let n = 0; n < 5; n++) expect(await slow()).toBeGreaterThan(100);
  });

  it('compresses, and leaves event streams alone', async () => {
    const { url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start('haproxy', [url]);
    const paths = ['/health', '/channel'];
    const clients = await Promise.all(
      paths.map((path) => proxy.connect(path, { 'accept-encoding': 'gzip' })),
    );
    expect(clients.map(({ headers }) => headers['content-encoding'])).toEqual(['gzip', undefined]);
  });

  it.each(platforms)(
    'gives a server with 503 from /health no new streams, and leaves it those that it has (%s)',
    async (_, platform) => {
      const [one, other] = [await start(platform), await start(platform)];
      const proxy = await ReverseProxy.start('haproxy', [one.url, other.url], {
        // An answer may take longer here than it is until the next question.
        'timeout connect 5s': 'timeout connect 5s\n timeout check 5s',
        'inter 2s': 'inter 50ms',
      });
      const streams = () => [one.sse.stats().streams, other.sse.stats().streams];
      const open = async (count: number) => {
        const clients: StreamClient[] = [];
        for (let n = 0; n < count; n++) clients.push(await proxy.connect('/channel'));
        return clients;
      };
      /** When it has been asked more often than it takes to believe it. */
      const setHealth = async (ok: boolean) => {
        one.health.ok = ok;
        one.health.asked = 0;
        await until(() => one.health.asked > 3);
      };
      const clients = await open(2);
      expect(streams()).toEqual([1, 1]);
      await setHealth(false);
      await open(4);
      expect(streams()).toEqual([1, 5]);
      await one.sse.publish('goes on');
      await until(() => clients.some(({ text }) => text.includes('goes on')));
      await setHealth(true);
      await open(4);
      expect(streams()).toEqual([5, 5]);
    },
  );
});

describe('Eight EventSources of a page in Chromium', () => {
  let context: BrowserContext;

  beforeAll(async () => {
    context = await launchChromium({ ignoreHTTPSErrors: true });
  });
  afterAll(() => context.browser()!.close());

  const open = async (name: ProxyName, changes?: Record<string, string>) => {
    const { sse, url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start(name, [url], changes);
    const page = await context.newPage();
    await page.goto(`${proxy.url}/health`);
    await page.evaluate(`
      globalThis.got = [];
      globalThis.sources = Array.from({ length: 8 }, (_, n) => {
        const source = new EventSource('/channel?channel=c' + n);
        source.onmessage = ({ data }) => got.push(data);
        return source;
      });
    `);
    const opened = () =>
      page.evaluate('sources.filter(({ readyState }) => readyState === EventSource.OPEN).length');
    return { sse, page, opened };
  };

  it.each(proxyNames)('are all open over the HTTP/2 of %s', async (name) => {
    const { sse, page, opened } = await open(name);
    await until(opened, (count) => count === 8);
    for (let n = 0; n < 8; n++) await sse.publish(n, { channel: `c${n}` });
    await until(
      () => page.evaluate<string[]>('got'),
      (got) => got.toSorted().join() === '0,1,2,3,4,5,6,7',
    );
    await page.close();
    await until(() => sse.stats().streams === 0);
  });

  it('are six over HTTP/1.1, and the others wait for one of them to end', async () => {
    const { page, opened } = await open('nginx', { ' http2;': ';' });
    await until(opened, (count) => count === 6);
    await expect(until(opened, (count) => count !== 6, WATCH_MS)).rejects.toThrow('last seen: 6');
    await page.evaluate('sources.find(({ readyState }) => readyState === EventSource.OPEN).close()');
    await until(opened, (count) => count === 6);
    await page.close();
  });
});

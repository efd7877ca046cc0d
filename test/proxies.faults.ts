import { describe, expect, it } from '@jest/globals';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { platforms } from './support/app.js';
import type { SseClient } from './support/client.js';
import { freePort } from './support/port.js';
import { AT_ONCE_MS, start } from './support/proxied-app.js';
import { proxyNames, ReverseProxy } from './support/reverse-proxy.js';
import { until, within } from './support/until.js';

/** The settings that docs/proxies.md documents. */
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

describe.each(proxyNames)('%s, configured as in docs/proxies.md,', (name) => {
  describe.each(trusting)('in front of %s', (_, platform) => {
    const open = async () => {
      const { sse, url } = await start(platform);
      const proxy = await ReverseProxy.start(name, [url], { '30s': '1s' });
      return { sse, proxy, client: await proxy.connect('/channel') };
    };

    it('forwards response headers and each small event at once, and unchanged', async () => {
      const { sse, client } = await open();
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

    it('forwards events of an @Sse route at once', async () => {
      const { sse, proxy } = await open();
      const client = await proxy.connect('/sse');
      expect(client.headers).toMatchObject({ 'x-accel-buffering': 'no' });
      await until(() => sse.stats().connections === 2);
      await sse.publish('small');
      expect(await within(AT_ONCE_MS, 'The event', client.next())).toMatchObject({ data: 'small' });
    });

    it('closes the connection to the application when the client disconnects', async () => {
      const { sse, client } = await open();
      await client.next();
      expect(sse.stats().connections).toBe(1);
      client.close();
      await until(() => sse.stats().connections === 0);
    });

    it('closes connections on reload, and clients that reconnect get the events that they missed', async () => {
      const { sse, proxy, client } = await open();
      const { id } = await client.next();
      await proxy.restart();
      await until(() => client.ended);
      await sse.publish('missed');
      const again = await proxy.connect('/channel', { 'last-event-id': id! });
      expect(await again.next()).toMatchObject({ data: 'missed' });
      await sse.publish('next');
      expect(await again.next()).toMatchObject({ data: 'next' });
    });

    it('forwards the requested host, for pages of old browsers with cookies', async () => {
      const { proxy } = await open();
      const from = async (origin: string) =>
        (await proxy.connect('/channel', { cookie: 'a=b', origin })).status;
      expect([await from(proxy.url), await from('https://elsewhere.example')]).toEqual([200, 403]);
    });

    it('switches at once from a node that is down to another node', async () => {
      const { url } = await start(platform);
      // HAProxy may not have noticed yet.
      const changes = name === 'haproxy' ? { 'check inter 2s fall 2 rise 2': 'no-check' } : undefined;
      const proxy = await ReverseProxy.start(name, [`http://127.0.0.1:${await freePort()}`, url], changes);
      for (let n = 0; n < 4; n++) {
        const client = await within(2_000, 'The response headers', proxy.connect('/channel'));
        expect(await client.next()).toMatchObject({ event: 'sse.open' });
      }
    });
  });

  it('sends a new connection to the node with fewer connections', async () => {
    const [one, other] = [await start(platforms[0][1]), await start(platforms[0][1])];
    const proxy = await ReverseProxy.start(name, [one.url, other.url]);
    const counts = () => [one.sse.stats().connections, other.sse.stats().connections];
    const clients: SseClient[] = [];
    while (clients.length < 6) clients.push(await proxy.connect('/channel'));
    expect(counts()).toEqual([3, 3]);
    await one.sse.publish('leave');
    const left = await until(
      () => clients.filter(({ text }) => text.includes('leave')),
      ({ length }) => length === 3,
    );
    for (const client of left) client.close();
    await until(() => one.sse.stats().connections === 0);
    for (let n = 0; n < 3; n++) await proxy.connect('/channel');
    expect(counts()).toEqual([3, 3]);
  });

  it.each(trusting)(
    'forwards the real addresses of clients to %s, and clients cannot forge them',
    async (_, platform) => {
      const { sse, url } = await start(platform, { limits: { connectionsPerAddress: 1 } });
      const proxy = await ReverseProxy.start(name, [url]);
      for (const address of ['127.0.0.2', '127.0.0.3']) {
        const client = await proxy.connect('/channel', {}, address);
        expect(await client.next()).toMatchObject({ event: 'sse.open' });
      }
      const forged = await proxy.connect('/channel', { 'x-forwarded-for': '127.0.0.4' }, '127.0.0.2');
      await until(() => forged.ended);
      expect([forged.events, sse.stats().refused]).toEqual([[], 1]);
    },
  );
});

describe('An idle connection', () => {
  it('outlives the timeouts of both proxies with heartbeats, and is closed without them', async () => {
    const open = async (heartbeatMs: number) => {
      const connections = proxyNames.flatMap((name) =>
        platforms.map(async ([, platform]) => {
          const { sse, url } = await start(platform, { heartbeatMs });
          const proxy = await ReverseProxy.start(name, [url], { '60s': '2s' });
          return { sse, client: await proxy.connect('/channel') };
        }),
      );
      return Promise.all(connections);
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

import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { collect } from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { createCollectApp, dataOf, pathOf } from './support/collect-app.js';

describe.each(platforms)('collect() on %s', (_, platform) => {
  const start = () => createCollectApp(platform());

  it('starts the application once for several collections', async () => {
    const { app, sse } = await start();
    const open = jest.fn();
    const both = ['/orders/7', '/nest/7'].map((path) =>
      collect(app, path, {
        count: 1,
        whenOpen: async () => {
          open();
          if (open.mock.calls.length === 2) await sse.publish('both', { channel: 'order:7' });
        },
      }),
    );
    expect(await Promise.all(both)).toMatchObject([[{ data: 'both' }], [{ data: 'both' }]]);
  });

  it.each(['127.0.0.1', '0.0.0.0', '::', '::1', 'localhost'])(
    'uses an application that listens on %s',
    async (host) => {
      const { app } = await start();
      await app.listen(0, host);
      expect(dataOf(await collect(app, pathOf('data: 1\n\n')))).toEqual([1]);
    },
  );

  it('uses an application that listens on a Unix socket', async () => {
    const { app } = await start();
    await app.listen(join(tmpdir(), `collect-${process.pid}-${Math.random()}.sock`));
    expect(dataOf(await collect(app, pathOf('data: 1\n\n')))).toEqual([1]);
  });
});

describe('collect()', () => {
  const files = { cert: 'test/support/tls/cert.pem', key: 'test/support/tls/key.pem' };
  const httpsOptions = { cert: readFileSync(files.cert), key: readFileSync(files.key) };

  it.each([
    ['Express', () => createCollectApp(new ExpressAdapter(), { httpsOptions })],
    ['Fastify', () => createCollectApp(new FastifyAdapter({ https: httpsOptions }))],
    [
      'HTTP/2',
      () =>
        createCollectApp(new FastifyAdapter({ http2: true, https: { ...httpsOptions, allowHTTP1: true } })),
    ],
  ])('reads from an application with TLS and a self-signed certificate: %s', async (_, start) => {
    const { app, sse } = await start();
    const whenOpen = () => sse.publish('secure', { channel: 'order:7' });
    expect(dataOf(await collect(app, '/orders/7', { count: 1, whenOpen }))).toEqual(['secure']);
  });

  it('rejects an application that speaks only HTTP/2', async () => {
    const plain = await createCollectApp(new FastifyAdapter({ http2: true }));
    const message = 'Expected `app` to speak HTTP/1.1, got an application of HTTP/2 without TLS';
    await expect(collect(plain.app, '/orders/7')).rejects.toMatchObject({ code: 'SSE_INPUT', message });
    const secure = await createCollectApp(new FastifyAdapter({ http2: true, https: httpsOptions }));
    await expect(collect(secure.app, '/orders/7')).rejects.toThrow('`allowHTTP1`');
  });

  it.each([null, undefined, {}, 'http://localhost:3000'])(
    'rejects an `app` that is not a Nest application: %p',
    async (app) => {
      await expect(collect(app as INestApplication, '/orders/7')).rejects.toThrow(
        'Expected `app` to be a Nest application, such as `module.createNestApplication()`, got',
      );
    },
  );
});

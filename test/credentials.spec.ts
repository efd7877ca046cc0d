import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { get, type RequestOptions } from 'node:https';
import { describe, expect, it, jest } from '@jest/globals';
import { type INestApplication, Logger } from '@nestjs/common';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { SseModule } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { GuardedController } from './support/guarded.controller.js';
import { eventually } from './support/until.js';

const metadata = { imports: [SseModule.forRoot()], controllers: [GuardedController] };
const [cert, key] = ['cert', 'key'].map((name) => readFileSync(`test/support/tls/${name}.pem`));
const FOREIGN = { origin: 'https://other.example.com', 'sec-fetch-site': 'same-site' };

describe.each(platforms)('Credentials that a browser adds by itself on %s', (name, platform) => {
  describe.each(['channel', 'guarded?channel=news'])('to a request for /%s from another origin', (path) => {
    it.each<[string, Record<string, string>]>([
      ['cookies', { cookie: 'session=1' }],
      ['no more than empty cookies', { cookie: '' }],
      ['Basic authentication', { authorization: 'Basic dXNlcjpwYXNz' }],
      ['Basic authentication in lower case', { authorization: 'basic dXNlcjpwYXNz' }],
      ['Digest authentication', { authorization: 'Digest username="u"' }],
      ['Kerberos', { authorization: 'Negotiate YII' }],
      ['NTLM', { authorization: 'NTLM TlRM' }],
      ['a client certificate, by RFC 9440', { 'client-cert': ':MII:' }],
      ['a client certificate, by Envoy', { 'x-forwarded-client-cert': 'Hash=1' }],
      ['a client certificate, by nginx', { 'ssl-client-cert': 'MII' }],
      ['a client certificate, by a cloud', { 'x-arr-clientcert': 'MII' }],
    ])('cause a refusal: %s', async (_what, headers) => {
      const { url } = await startApp(platform, metadata);
      expect((await connect(`${url}/${path}`, { ...headers, ...FOREIGN })).status).toBe(403);
      expect((await connect(`${url}/${path}`, { ...headers, origin: FOREIGN.origin })).status).toBe(403);
      expect((await connect(`${url}/${path}`, { ...headers, 'sec-fetch-site': 'same-origin' })).status).toBe(
        200,
      );
    });

    it.each<[string, Record<string, string>]>([
      ['a bearer token', { authorization: 'Bearer token' }],
      ['a token of a scheme of its own', { authorization: 'BasicToken token' }],
      ['a header that a proxy leaves empty', { 'ssl-client-cert': '' }],
      ['nothing', {}],
    ])('are distinguished from headers that a script adds: %s', async (_what, headers) => {
      const { url } = await startApp(platform, metadata);
      expect((await connect(`${url}/${path}`, { ...headers, ...FOREIGN })).status).toBe(200);
    });
  });

  const startTls = async () => {
    const httpsOptions = { cert, key, requestCert: true, rejectUnauthorized: false };
    const module = await Test.createTestingModule(metadata).compile();
    const adapter = name === 'Express' ? new ExpressAdapter() : new FastifyAdapter({ https: httpsOptions });
    const app: INestApplication = module.createNestApplication(adapter, { logger: ['fatal'], httpsOptions });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as { port: number };
    const status = (options: RequestOptions) =>
      eventually(
        'The answer',
        new Promise<number>((resolve, reject) => {
          const all = {
            port,
            host: '127.0.0.1',
            path: '/channel',
            agent: false as const,
            rejectUnauthorized: false,
          };
          const request = get({ ...all, ...options }, ({ statusCode }) => {
            request.destroy();
            resolve(statusCode!);
          });
          request.on('error', reject);
        }),
      );
    return { app, port, status };
  };

  it('include a client certificate', async () => {
    const { app, status } = await startTls();
    expect(await status({ cert, key, headers: FOREIGN })).toBe(403);
    expect(await status({ cert, key, headers: { origin: FOREIGN.origin } })).toBe(403);
    expect(await status({ cert, key, headers: { 'sec-fetch-site': 'same-origin' } })).toBe(200);
    expect(await status({ headers: FOREIGN })).toBe(200);
    await app.close();
  });

  it('are allowed for the application’s own origin, by scheme and host', async () => {
    const { app, port, status } = await startTls();
    const cookie = 'session=1';
    const statusOf = (origin: string) => status({ headers: { cookie, origin, host: `localhost:${port}` } });
    expect(await statusOf(`https://localhost:${port}`)).toBe(200);
    expect(await statusOf(`http://localhost:${port}`)).toBe(403);
    expect(await statusOf('https://localhost')).toBe(403);
    await app.close();
  });
});

describe.each<[string, () => ExpressAdapter | FastifyAdapter, (app: INestApplication) => void]>([
  ['Express', () => new ExpressAdapter(), (app) => (app as NestExpressApplication).set('trust proxy', true)],
  ['Fastify', () => new FastifyAdapter({ trustProxy: true }), () => undefined],
])('The origin of an application behind a proxy on %s', (name, platform, trust) => {
  const asked = { cookie: 'session=1', origin: 'https://app.example.com', host: 'app.example.com' };
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example.com' };

  it('is the one that a trusted proxy forwards', async () => {
    const { url } = await startApp(platform as never, metadata, trust);
    const statusOf = async (headers: object) =>
      (await connect(`${url}/channel`, { ...asked, ...headers })).status;
    expect(await statusOf({ ...forwarded, host: 'internal:3000' })).toBe(200);
    expect(await statusOf({ 'x-forwarded-proto': 'https' })).toBe(200);
    expect(await statusOf({ ...forwarded, origin: 'http://app.example.com' })).toBe(403);
    expect(await statusOf({ ...forwarded, 'x-forwarded-host': 'other.example.com' })).toBe(403);
  });

  it('is not taken from headers if the proxy is not trusted, and the log names the setting', async () => {
    const warned = jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const plain = name === 'Express' ? () => new ExpressAdapter() : () => new FastifyAdapter();
    const { url } = await startApp(plain, metadata);
    const statusOf = async (headers: object) =>
      (await connect(`${url}/channel`, { ...asked, ...headers })).status;
    expect(await statusOf({ ...forwarded, host: 'internal:3000' })).toBe(403);
    expect(await statusOf({ ...forwarded, origin: 'https://app.example.com:8443' })).toBe(403);
    const lines = warned.mock.calls.map(([line]) => String(line)).filter((line) => line.includes('Refused'));
    warned.mockRestore();
    expect(lines).toEqual([
      'Refused a request with credentials from another origin, "https://app.example.com": to allow it, add that to the option `origins`',
      'Refused a request with credentials from another origin, "https://app.example.com:8443": to allow it, add that to the option `origins`',
    ]);
  });

  it('differs only in the scheme if the proxy terminates TLS, and the log says so', async () => {
    const warned = jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const plain = name === 'Express' ? () => new ExpressAdapter() : () => new FastifyAdapter();
    const { url } = await startApp(plain, metadata);
    expect((await connect(`${url}/channel`, asked)).status).toBe(403);
    const [line] = warned.mock.calls.map(([text]) => String(text)).filter((text) => text.includes('Refused'));
    warned.mockRestore();
    expect(line).toMatch(
      /let the application trust its proxy \(`trust proxy`, `trustProxy`\), or add that to/,
    );
  });
});

describe('The origin of an application on HTTP/2', () => {
  it('is its scheme and :authority', async () => {
    const { url } = await startApp(() => new FastifyAdapter({ http2: true }), metadata);
    const session = connectHttp2(url);
    const statusOf = (headers: Record<string, string>) =>
      eventually(
        'The answer',
        new Promise<number>((resolve, reject) => {
          const stream = session.request({ ':path': '/channel', cookie: 'session=1', ...headers });
          stream.on('error', reject).on('response', ({ ':status': status }) => {
            stream.close();
            resolve(status!);
          });
        }),
      );
    expect(await statusOf({ origin: url })).toBe(200);
    expect(await statusOf({ origin: url, ':authority': 'elsewhere.example' })).toBe(403);
    expect(await statusOf({ origin: url.replace('http:', 'https:') })).toBe(403);
    expect(await statusOf({ origin: 'https://elsewhere.example' })).toBe(403);
    expect(await statusOf({ origin: 'https://elsewhere.example', 'sec-fetch-site': 'same-origin' })).toBe(
      200,
    );
    session.close();
  });
});

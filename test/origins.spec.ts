import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SseModule } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { GuardedController } from './support/guarded.controller.js';

const FRIEND = 'https://app.example.com';
const OTHER = 'https://elsewhere.example';
const APPS = [
  'capacitor://localhost',
  'tauri://localhost',
  'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
];

describe.each(platforms)('A page on %s', (_, platform) => {
  describe.each(['channel', 'guarded?channel=news'])('that reads /%s', (path) => {
    const start = async (configure?: Parameters<typeof startApp>[2]) => {
      const metadata = {
        imports: [SseModule.forRoot({ origins: [FRIEND, ...APPS] })],
        controllers: [GuardedController],
      };
      const { url } = await startApp(platform, metadata, configure);
      const open = (headers: Record<string, string>) => connect(`${url}/${path}`, headers);
      return Object.assign(open, { host: new URL(url).host });
    };
    const cookie = 'session=1';

    it.each<[string, (host: string) => Record<string, string>]>([
      ['of the application', () => ({ cookie, 'sec-fetch-site': 'same-origin' })],
      ['opened by the visitor', () => ({ cookie, 'sec-fetch-site': 'none' })],
      ['of an old browser', () => ({ cookie })],
      ['of an old browser that names its origin', (host) => ({ cookie, origin: `http://${host}` })],
      ['of another site, without cookies', () => ({ origin: OTHER, 'sec-fetch-site': 'cross-site' })],
      ['of the list, by a browser', () => ({ cookie, origin: FRIEND, 'sec-fetch-site': 'cross-site' })],
      ['of the list, by an old browser', () => ({ cookie, origin: FRIEND })],
      ...APPS.map((origin): [string, () => Record<string, string>] => [
        `of the list, ${origin}`,
        () => ({ cookie, origin, 'sec-fetch-site': 'cross-site' }),
      ]),
    ])('may read if it is one %s', async (_what, headersOf) => {
      const open = await start();
      const client = await open(headersOf(open.host));
      expect(client.status).toBe(200);
    });

    it.each<[string, Record<string, string> | ((host: string) => Record<string, string>)]>([
      ['of another site', { origin: OTHER, 'sec-fetch-site': 'cross-site' }],
      ['of another site, as an image', { 'sec-fetch-site': 'cross-site' }],
      ['of a neighbour', { origin: 'http://evil.127.0.0.1', 'sec-fetch-site': 'same-site' }],
      ['in an old browser', { origin: OTHER }],
      ['in a sandbox', { origin: 'null' }],
      ['that only begins like one of the list', { origin: `${FRIEND}.evil.example` }],
      ['of an application on the host of another', { origin: 'ionic://localhost' }],
      ['of an application on our own host', (host: string) => ({ origin: `capacitor://${host}` })],
      ['of our own host with another scheme', (host: string) => ({ origin: `https://${host}` })],
    ])('may not read with its visitor’s cookies if it is one %s', async (_what, headers) => {
      const open = await start();
      const given = typeof headers === 'function' ? headers(open.host) : headers;
      const client = await open({ ...given, cookie });
      expect(client.status).toBe(403);
      expect(client.headers['access-control-allow-origin']).toBeUndefined();
    });

    it('gets CORS headers only if its origin is in the list', async () => {
      const open = await start();
      const [friend, other] = [await open({ origin: FRIEND, cookie }), await open({ origin: OTHER })];
      expect(friend.headers).toMatchObject({
        'access-control-allow-origin': FRIEND,
        'access-control-allow-credentials': 'true',
        vary: expect.stringContaining('Origin'),
      });
      expect(other.status).toBe(200);
      expect(other.headers['access-control-allow-origin']).toBeUndefined();
    });

    it('may read with cookies even if enableCors() allows its origin without them', async () => {
      const open = await start((app) => app.enableCors({ origin: [FRIEND] }));
      const { status, headers } = await open({ cookie, origin: FRIEND });
      expect([status, headers['access-control-allow-origin']]).toEqual([200, FRIEND]);
      expect(headers['access-control-allow-credentials']).toBe('true');
      expect(headers.vary).toMatch(/^Origin$/i);
    });

    it('is logged once if it is refused, with the setting to change', async () => {
      const warned = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
      const open = await start();
      for (let n = 0; n < 3; n++) expect((await open({ cookie, origin: OTHER })).status).toBe(403);
      const lines = warned.mock.calls.map(([line]) => String(line)).filter((line) => line.includes(OTHER));
      warned.mockRestore();
      expect(lines).toEqual([expect.stringMatching(/^Refused a request .* option `origins`$/)]);
    });

    it('gets one set of CORS headers if the application sets them itself', async () => {
      const open = await start((app) => app.enableCors({ origin: [FRIEND, OTHER], credentials: true }));
      const friend = await open({ origin: FRIEND, cookie });
      expect(friend.headers['access-control-allow-origin']).toBe(FRIEND);
      // CORS allows this origin, but the option `origins` does not.
      expect((await open({ origin: OTHER, cookie, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    });
  });
});

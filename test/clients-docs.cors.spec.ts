import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { runInPage, siteOrigin } from './support/client-runs.js';
import { AROUND, cookieFor, documentedCors, snippetsOf, startOrders } from './support/documented-clients.js';
import type { Relay } from './support/relay.js';
import { until } from './support/until.js';

describe.each(platforms)('A page of another origin, with %s,', (_, platform) => {
  const listen = `
    source.addEventListener('status', ({ data }) => console.log(JSON.parse(data).status));
    source.addEventListener('error', () => source.readyState === 2 && console.log('closed'));
  `;
  const withCookies = ({ url }: Relay) =>
    `const source = new EventSource('${url}/orders/7/events', { withCredentials: true }); ${listen}`;
  const preflights = ({ heads }: Relay) =>
    heads
      .filter((head) => head.startsWith('OPTIONS '))
      .map((head) => /^access-control-request-headers: (.*)$/im.exec(head)![1]);
  const gets = ({ heads }: Relay) => heads.filter((head) => head.startsWith('GET '));

  /** Publishes, breaks the connection, and publishes again: the page gets both events, once. */
  const resumes = async (
    { sse, publish, relay }: Awaited<ReturnType<typeof startOrders>>,
    page: Awaited<ReturnType<typeof runInPage>>,
  ) => {
    await until(() => sse.stats().connections === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await publish('packed');
    await until(() => page.lines.includes('packed'));
    expect(page.lines).toEqual(['paid', 'packed']);
  };

  it.each([
    ['the option origins alone', undefined],
    ['the documented enableCors() as well', documentedCors],
  ])('reads with cookies by %s, and resumes without a preflight', async (_what, configure) => {
    const orders = await startOrders(platform, { options: { retryMs: 500 }, configure });
    const { relay } = orders;
    const page = await runInPage(withCookies(relay), cookieFor(relay));
    await resumes(orders, page);
    expect(preflights(relay)).toEqual([]);
    expect(gets(relay).at(-1)).toMatch(/^last-event-id: \d+-\d+$/im);
  });

  it('is refused with its cookies without the option origins, independent of enableCors()', async () => {
    const { relay } = await startOrders(platform, { options: { origins: [] }, configure: documentedCors });
    const page = await runInPage(withCookies(relay), cookieFor(relay));
    await until(() => page.lines.includes('closed'));
    expect(relay.responses).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('reads with a bearer token after a preflight, and resumes', async () => {
    const options = { origins: [], retryMs: 500 };
    const orders = await startOrders(platform, { options, configure: documentedCors });
    const { relay } = orders;
    const page = await runInPage(AROUND + snippetsOf('fetch-event-source', relay.url)[0]!);
    await resumes(orders, page);
    expect(preflights(relay)[0]).toBe('authorization');
    expect(gets(relay).at(-1)).toMatch(/^last-event-id: \d+-\d+$/im);
  });

  it('does not resume if Last-Event-ID is not an allowed header', async () => {
    const { sse, publish, relay } = await startOrders(platform, {
      options: { retryMs: 500 },
      configure: (app) => app.enableCors({ origin: siteOrigin(), allowedHeaders: ['Authorization'] }),
    });
    const page = await runInPage(AROUND + snippetsOf('fetch-event-source', relay.url)[0]!);
    await until(() => sse.stats().connections === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await until(() => preflights(relay).length > 2);
    expect(preflights(relay).slice(0, 3)).toEqual([
      'authorization',
      'authorization,last-event-id',
      'authorization,last-event-id',
    ]);
    expect(gets(relay)).toHaveLength(1);
  });

  it.each([
    ['sees the 401 of a guard with enableCors()', documentedCors, ['ended by 401']],
    ['sees a network error instead of the 401 without it, and retries', undefined, []],
  ])('%s', async (_what, configure, lines) => {
    const { signedIn, relay } = await startOrders(platform, { configure });
    signedIn.isClosed = true;
    const script = snippetsOf('fetch-event-source', relay.url)[0]!.replace(
      'headers: { Authorization: `Bearer ${token}` }',
      `credentials: 'include'`,
    );
    const page = await runInPage(AROUND + script, cookieFor(relay));
    await until(() => page.lines.length > 0 || gets(relay).length > 1);
    expect(page.lines).toEqual(lines);
    expect(relay.responses).toMatch(/^HTTP\/1\.1 401 /);
  });
});

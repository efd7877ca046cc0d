import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { build, stop } from 'esbuild';
import type { BrowserContext, Page } from 'playwright-core';
import { renderToString } from 'react-dom/server';
import { platforms } from './support/app.js';
import { ChannelController } from './support/channel.controller.js';
import { closePages, launchChromium } from './support/chromium.js';
import { feed } from './support/react/feed.js';
import { openPage, startNode } from './support/recipe-node.js';
import { randomPrefix } from './support/redis.js';
import { type Answer, ScriptedServer, status, stream } from './support/scripted-server.js';
import { until } from './support/until.js';

/** A server of feeds, and of a page with some HTML. */
const serve = (answer: Answer, html = '') =>
  ScriptedServer.start((response, request) => {
    const page = `<!doctype html><link rel="icon" href="data:,"><div id="root">${html}</div>`;
    const isFeed = request.url!.startsWith('/feed');
    (isFeed ? answer : status(200, { 'content-type': 'text/html' }, page))(response, request);
  });
const feeds = ({ requests }: ScriptedServer) => requests.filter(({ url }) => url.startsWith('/feed'));
const send = (server: ScriptedServer, text: string) => {
  for (const response of server.open) response.write(text);
};

describe('The hooks for React in Chromium, in strict mode', () => {
  let script: string;
  let context: BrowserContext;
  let errors: string[];
  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: ['test/support/react/page.ts'],
      bundle: true,
      format: 'iife',
      write: false,
    });
    script = outputFiles[0]!.text;
    await stop();
    context = await launchChromium();
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  const prepare = async (page: Page) => {
    errors = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('console', (message) => {
      // The browser reports failed requests as errors.
      const isNetwork = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isNetwork) errors.push(message.text());
    });
    await page.addScriptTag({ content: script });
    return page;
  };
  /** @param code that renders for the first time */
  const open = async (server: ScriptedServer, code: string) => {
    const page = await context.newPage();
    await page.goto(new URL('/', server.url).href);
    await prepare(page);
    await page.evaluate(code);
    return page;
  };
  const text = (page: Page) => page.evaluate<string>(`document.querySelector('#root').innerText`);
  const shows = (page: Page, expected: string) =>
    until(
      () => text(page),
      (shown) => shown.replaceAll('\n\n', '|') === expected,
    );
  const log = (page: Page) => page.evaluate<string[]>('log');

  it.each(platforms)(
    'deliver each event of an application once, over several connections: %s',
    async (...[, platform]) => {
      const html = '<div id="root"></div>';
      const node = await startNode(platform, {
        prefix: randomPrefix(),
        html,
        controllers: [ChannelController],
      });
      const { page } = await openPage(context, node);
      await prepare(page);
      await page.evaluate(`render({ url: '/channel?channel=news' })`);
      await shows(page, 'a 0 open|b 0 open');
      const publish = (data: number) => node.sse.publish(data, { channel: 'news' });
      await publish(1);
      await shows(page, 'a 0 open 1|b 0 open 1');
      node.relay.cut();
      await Promise.all([2, 3].map(publish));
      await until(async () => (await log(page)).length >= 6);
      await publish(4);
      await until(async () => (await log(page)).length >= 8);
      expect(await log(page)).toEqual([1, 2, 3, 4].flatMap((n) => [`a ${n}`, `b ${n}`]));
      await page.evaluate('unmount()');
      await until(() => node.sse.stats().connections === 0);
      expect(errors).toEqual([]);
    },
  );

  it('open one connection, and close it when the component is removed', async () => {
    const server = await serve(stream('data: 1\n\n'));
    const page = await open(server, `render({ url: '/feed' })`);
    await shows(page, 'a 0 open 1|b 0 open 1');
    expect(await log(page)).toEqual(['a 1', 'b 1']);
    await page.evaluate('unmount()');
    await until(() => server.open.size === 0);
    // Another source of the page would have been requested before this one.
    await page.evaluate(`void fetch('/feed/last').catch(() => {})`);
    await until(() => feeds(server).some(({ url }) => url === '/feed/last'));
    expect(feeds(server).map(({ url }) => url)).toEqual(['/feed', '/feed/last']);
    expect(errors).toEqual([]);
  });

  it('deliver the first events also where they arrive before React renders the source', async () => {
    const server = await serve(status(404));
    const page = await open(
      server,
      `globalThis.calls = 0;
      const fetch = async () => {
        calls++;
        const headers = { 'content-type': 'text/event-stream' };
        return new Response('data: 1\\n\\ndata: 2\\n\\nevent: sse.end\\ndata: {}\\n\\n', { headers });
      };
      render({ url: '/feed', options: { fetch } });`,
    );
    await shows(page, 'a 0 ended 2|b 0 ended 2');
    expect(await log(page)).toEqual(['a 1', 'b 1', 'a 2', 'b 2']);
    expect([await page.evaluate('calls'), errors]).toEqual([1, []]);
  });

  it('replace the connection when the URL changes, and show no event of the previous one', async () => {
    const server = await serve((response, request) =>
      stream(request.url === '/feed/1' ? 'data: 1\n\n' : '')(response, request),
    );
    const page = await open(server, `render({ url: '/feed/1' })`);
    await shows(page, 'a 0 open 1|b 0 open 1');
    await page.evaluate(`render({ url: '/feed/2' })`);
    await shows(page, 'a 0 open|b 0 open');
    await until(() => server.open.size === 1);
    send(server, 'data: 2\n\n');
    await shows(page, 'a 0 open 2|b 0 open 2');
    await page.evaluate('render({})');
    await shows(page, 'a 0|b 0');
    await until(() => server.open.size === 0);
    await page.evaluate(`render({ url: '/feed/2' })`);
    await shows(page, 'a 0 open|b 0 open');
    expect(feeds(server).map(({ url }) => url)).toEqual(['/feed/1', '/feed/2', '/feed/2']);
    expect(errors).toEqual([]);
  });

  it('call the listener of the newest render with each event, without another connection', async () => {
    const server = await serve(stream());
    const page = await open(
      server,
      `let label = 0;
      const draw = () => render({ url: '/feed', options: { headers: {} }, label, onEvent });
      const onEvent = (name, data, seen) => {
        log.push([name, data, seen]);
        if (name === 'b') label++;
        draw();
      };
      draw();`,
    );
    await shows(page, 'a 0 open|b 0 open');
    const count = 50;
    for (let n = 0; n < count; n++) send(server, `data: ${n}\n\n`);
    await shows(page, `a ${count} open ${count - 1}|b ${count} open ${count - 1}`);
    send(server, `data: ${count}\n\n`);
    await shows(page, `a ${count + 1} open ${count}|b ${count + 1} open ${count}`);
    const got = await page.evaluate<[string, number, number][]>('log');
    const numbers = Array.from({ length: count + 1 }, (_, n) => n);
    expect(got.map(([name, n]) => `${name} ${n}`)).toEqual(numbers.flatMap((n) => [`a ${n}`, `b ${n}`]));
    expect(got.slice(-2).map(([, , label]) => label)).toEqual([count, count]);
    expect(feeds(server)).toHaveLength(1);
    expect(errors).toEqual([]);
  });

  it('reconnect with the headers of the newest render', async () => {
    const server = await serve(stream('retry: 1\n\n'));
    const page = await open(server, `render({ url: '/feed' })`);
    await shows(page, 'a 0 open|b 0 open');
    for (const [label, headers] of [`{ authorization: 'b' }`, `() => ({ authorization: 'c' })`].entries()) {
      await page.evaluate(`render({ url: '/feed', label: ${label}, options: { headers: ${headers} } })`);
      await shows(page, `a ${label} open|b ${label} open`);
      const { length } = feeds(server);
      for (const response of server.open) response.destroy();
      await until(() => feeds(server).length > length);
      await shows(page, `a ${label} open|b ${label} open`);
    }
    expect(feeds(server).map(({ headers }) => headers.authorization)).toEqual([undefined, 'b', 'c']);
  });

  it('show why a source waits, and why it has failed', async () => {
    const answers = [status(503), status(404)];
    const server = await serve((...request) => answers[0]!(...request));
    const page = await open(server, `render({ url: '/feed' })`);
    const views = (state: string) =>
      ['a', 'b'].map((name) => `${name} 0 ${state} Expected an event stream, got status`);
    const show = (state: string, code: number) =>
      shows(
        page,
        views(state)
          .map((view) => `${view} ${code}, type null`)
          .join('|'),
      );
    await show('waiting', 503);
    answers.shift();
    await show('failed', 404);
    expect(errors).toEqual([]);
  });

  it('leave a source of the application open, and show its state when they are mounted', async () => {
    const server = await serve(stream());
    const page = await open(server, `globalThis.source = connect('/feed')`);
    await until(async () => (await page.evaluate('source.state')) === 'open');
    await page.evaluate('render({ source })');
    await shows(page, 'a 0 open|b 0 open');
    send(server, 'data: 1\n\n');
    await shows(page, 'a 0 open 1|b 0 open 1');
    expect(await log(page)).toEqual(['a 1', 'b 1']);
    await page.evaluate('unmount()');
    await page.evaluate(`source.on('message', (data) => log.push(data))`);
    send(server, 'data: 2\n\n');
    await until(async () => (await log(page)).length > 2);
    expect(await log(page)).toEqual(['a 1', 'b 1', 2]);
    expect([feeds(server).length, errors]).toEqual([1, []]);
  });

  it('render on the server without a connection, and hydrate without a warning', async () => {
    const warned = jest.spyOn(console, 'error');
    const server = await serve(stream('data: 1\n\n'), renderToString(feed({ url: '/feed' })));
    expect([warned.mock.calls, server.requests]).toEqual([[], []]);
    warned.mockRestore();
    const page = await open(server, `hydrate({ url: '/feed' })`);
    await shows(page, 'a 0 open 1|b 0 open 1');
    expect(await log(page)).toEqual(['a 1', 'b 1']);
    expect([feeds(server).length, errors]).toEqual([1, []]);
  });

  it('hydrate with a source that is open already', async () => {
    const server = await serve(stream(), renderToString(feed({ url: '/feed' })));
    const page = await open(server, `globalThis.source = connect('/feed')`);
    await until(async () => (await page.evaluate('source.state')) === 'open');
    await page.evaluate('hydrate({ source })');
    await shows(page, 'a 0 open|b 0 open');
    send(server, 'data: 1\n\n');
    await shows(page, 'a 0 open 1|b 0 open 1');
    expect(errors).toEqual([]);
  });
});

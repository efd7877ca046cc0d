import { describe, expect, it, jest } from '@jest/globals';
import { collect } from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { createCollectApp, expectClosed, failureOf, pathOf } from './support/collect-app.js';

/** A short time limit, for tests that wait for its end. */
const SOON = { timeoutMs: 2_000 };

describe.each(platforms)('collect() on %s rejects', (_, platform) => {
  const start = () => createCollectApp(platform());

  it('with the error that `whenOpen` or `until` throws', async () => {
    const { app } = await start();
    const fail = () => {
      throw new Error('mine');
    };
    const path = '/orders/7';
    await expect(collect(app, path, { whenOpen: fail })).rejects.toThrow('mine');
    await expect(collect(app, path, { whenOpen: async () => fail() })).rejects.toThrow('mine');
    await expect(collect(app, pathOf('data: 1\n\n'), { until: fail })).rejects.toThrow('mine');
    await expectClosed(app);
  });

  it('another status or content type, with the status and the beginning of the body', async () => {
    const { app } = await start();
    const whenOpen = jest.fn();
    const forbidden = await failureOf(app, '/secret?channel=x', { count: 1, whenOpen });
    expect(forbidden).toMatchObject({ status: 403, events: [] });
    expect(JSON.parse(forbidden.body!)).toMatchObject({ message: 'Forbidden' });
    expect(forbidden.message).toMatch(
      /^GET \/secret\?channel=x: expected 200 text\/event-stream, got 403 application\/json.*: \{.*"Forbidden"/,
    );
    const page = await failureOf(app, '/page');
    expect(page).toMatchObject({ status: 200, body: '<html>'.padEnd(1_000, 'x') });
    expect(page.message).toMatch(/got 200 text\/(html|plain); charset=utf-8: <html>xxx/);
    const nothing = await failureOf(app, '/nothing');
    expect(nothing).toMatchObject({ status: 204, body: '' });
    expect(nothing.message).toMatch(/got 204 without a content type$/);
    expect(await failureOf(app, '/endless-page', SOON)).toMatchObject({
      status: 502,
      body: '<html>',
    });
    expect(await failureOf(app, '/broken-page')).toMatchObject({ status: 500, body: '<html>' });
    expect(whenOpen).not.toHaveBeenCalled();
  });

  it('and lists the received events when the response ends too early', async () => {
    const { app } = await start();
    const path = pathOf('event: x\nid: 1\ndata: 1\n\n', 'data: two\n\n');
    const ended = await failureOf(app, path, { count: 3 });
    expect(ended.message).toBe(
      `GET ${path}: expected 3 events before the server ended the response, got 2:\n` +
        '  {"id":"1","type":"x","data":1}\n  {"id":"1","type":"message","data":"two"}',
    );
    expect(ended.events).toHaveLength(2);
    expect(ended.status).toBeUndefined();
    expect((await failureOf(app, path, { until: () => false })).message).toContain(
      'expected an event that `until` accepts before the server ended the response, got 2:',
    );
    expect((await failureOf(app, pathOf(':\n\n'), { count: 1, until: () => false })).message).toMatch(
      /expected 1 event, or an event that `until` accepts before .*, got none$/,
    );
  });

  it('when the connection breaks, with and without `count`', async () => {
    const { app } = await start();
    expect((await failureOf(app, '/broken')).message).toMatch(
      /expected the end of the response before the connection broke, got 1:/,
    );
    expect((await failureOf(app, '/broken', { count: 2 })).message).toContain(
      'expected 2 events before the conn',
    );
    await expect(collect(app, '/broken', { count: 1 })).resolves.toHaveLength(1);
    const hungUp = await failureOf(app, '/hang-up');
    expect(hungUp.message).toBe('GET /hang-up: expected response headers, got socket hang up');
    expect(hungUp.cause).toMatchObject({ code: 'ECONNRESET' });
  });

  it('at the time limit, and lists the received events', async () => {
    const { app, sse } = await start();
    const whenOpen = async () => {
      for (let n = 0; n < 25; n++) await sse.publish('x'.repeat(n * 20), { channel: 'order:7' });
    };
    const { message, events } = await failureOf(app, '/orders/7', { count: 30, whenOpen, ...SOON });
    expect(message).toMatch(/^GET \/orders\/7: expected 30 events within 2000 ms, got 25:\n {2}\{/);
    expect(message).toMatch(/\n {2}… and 5 more$/);
    expect(Math.max(...message.split('\n').map(({ length }) => length))).toBeLessThan(210);
    expect(events).toHaveLength(25);
    expect((await failureOf(app, '/orders/7', SOON)).message).toContain(
      'the end of the response within 2000 ms, got none',
    );
  });

  it('at the time limit without response headers, or while `whenOpen` is not done', async () => {
    const { app } = await start();
    const silent = await failureOf(app, '/silent', SOON);
    expect(silent.message).toBe('GET /silent: expected response headers within 2000 ms, got none');
    const hanging = { count: 1, whenOpen: () => new Promise(() => undefined), ...SOON };
    expect((await failureOf(app, pathOf('data: 1\n\n'), hanging)).message).toContain(
      'expected `whenOpen` to be done within 2000 ms, got 1:',
    );
  });

  it('when the application closes', async () => {
    const { app } = await start();
    const closing = collect(app, '/orders/7', { count: 1, whenOpen: () => app.close() });
    await expect(closing).rejects.toThrow('expected 1 event before the server ended the response, got none');
  });
});

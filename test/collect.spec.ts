import { describe, expect, it, jest } from '@jest/globals';
import { collect, type CollectedEvent } from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { createCollectApp, dataOf, expectClosed, pathOf } from './support/collect-app.js';
import { until } from './support/until.js';

describe.each(platforms)('collect() on %s', (_, platform) => {
  const start = () => createCollectApp(platform());

  it.each(['orders', 'nest'])('starts the application, and resolves to `count` events: %s', async (route) => {
    const { app, sse } = await start();
    const publish = async () => {
      const channel = 'order:7';
      await sse.publish({ amount: 5 }, { channel, type: 'paid', id: 'payment-5' });
      await sse.publish('in\ntwo lines', { channel });
      await sse.publish(12, { channel });
      await sse.publish('one too many', { channel });
    };
    const events = await collect(app, `/${route}/7`, { count: 3, whenOpen: publish });
    expect(events).toEqual([
      { id: 'payment-5', type: 'paid', data: { amount: 5 } },
      { id: sse.published[1]!.publishedId, type: 'message', data: 'in\ntwo lines' },
      { id: sse.published[2]!.publishedId, type: 'message', data: 12 },
    ]);
    expect(app.getHttpServer()).toMatchObject({ listening: true });
    await expectClosed(app);
    await until(() => sse.stats().connections === 0);
  });

  it('ends with the event that `until` accepts, or with `count`, whichever is first', async () => {
    const { app } = await start();
    const path = pathOf('data: {"n":1}\n\n', 'data: {"n":2}\n\ndata: {"n":3}\n\n', 'data: {"n":4}\n\n');
    const isSecond = ({ data }: CollectedEvent<{ n: number }>) => data.n === 2;
    expect(dataOf(await collect(app, path, { until: isSecond }))).toEqual([{ n: 1 }, { n: 2 }]);
    expect(dataOf(await collect(app, path, { until: isSecond, count: 1 }))).toEqual([{ n: 1 }]);
    expect(dataOf(await collect(app, path, { until: isSecond, count: 3 }))).toHaveLength(2);
  });

  it('resolves to all events once the server ends the response, without `count` and `until`', async () => {
    const { app, sse } = await start();
    const whenOpen = async () => {
      await sse.publish('bye', { channel: 'order:7' });
      await sse.disconnect({ channel: 'order:7' });
    };
    expect(dataOf(await collect(app, '/orders/7', { whenOpen }))).toEqual(['bye']);
    expect(await collect(app, pathOf(': nothing\n\n'))).toEqual([]);
    await expectClosed(app);
  });

  it('parses events that arrive in several chunks, and ignores an incomplete last event', async () => {
    const { app } = await start();
    const path = pathOf(
      'id: 1\r',
      '\ndata: [1,\r\ndata: 2]\r\r',
      'event: x\ndata:',
      ' no JSON\n\ndata: incomplete\n',
    );
    expect(await collect(app, path)).toEqual([
      { id: '1', type: 'message', data: [1, 2] },
      { id: '1', type: 'x', data: 'no JSON' },
    ]);
  });

  it('resumes after `lastEventId`, which it sends in UTF-8, and returns an sse.reset', async () => {
    const { app, sse } = await start();
    const first = await sse.feed('first', { channel: 'order:7' });
    await sse.feed('second', { channel: 'order:7' });
    const resume = (lastEventId: string) => collect(app, '/orders/7', { count: 1, lastEventId });
    expect(await resume(first)).toMatchObject([{ type: 'message', data: 'second' }]);
    expect(await resume('ünknown')).toMatchObject([{ type: 'sse.reset', data: { reason: 'unknown' } }]);
    sse.loseHistory('order:7');
    expect(await resume(first)).toMatchObject([{ type: 'sse.reset', data: { reason: 'lost' } }]);
  });

  it('sends the given headers, and by default accepts event streams', async () => {
    const { app } = await start();
    const headers = { authorization: 'Bearer x', Cookie: 'a=b' };
    const [event] = await collect(app, '/request', { count: 1, headers, lastEventId: 'é' });
    expect(event!.data).toMatchObject({
      accept: 'text/event-stream',
      authorization: 'Bearer x',
      cookie: 'a=b',
      'last-event-id': Buffer.from('é').toString('latin1'),
    });
    for (const given of [new globalThis.Headers(headers), Object.create(headers) as typeof headers]) {
      const [same] = await collect(app, '/request', Object.create({ count: 1, headers: given }) as object);
      expect(same!.data).toMatchObject({ authorization: 'Bearer x', cookie: 'a=b' });
    }
    const [other] = await collect(app, '/request', { headers: { Accept: '*/*' } });
    expect(other!.data).toMatchObject({ accept: '*/*' });
  });

  it('encodes the path as a browser does', async () => {
    const { app } = await start();
    expect(dataOf(await collect(app, '/chunks?of=data: é%0a%0a&of=#x'))).toEqual(['é']);
    await expect(collect(app, '//orders/7')).rejects.toMatchObject({ status: 404 });
  });

  it('waits until `whenOpen` is done', async () => {
    const { app } = await start();
    const done = jest.fn();
    const whenOpen = async () => {
      // The connection is closed by then.
      await expectClosed(app);
      done();
    };
    await collect(app, pathOf('data: 1\n\n'), { count: 1, whenOpen });
    expect(done).toHaveBeenCalled();
  });

  it('leaves no timer and no socket behind', async () => {
    const kinds = ['Timeout', 'TCPSocketWrap', 'TCPServerWrap', 'TCPConnectWrap'];
    const resources = () => {
      const all = process.getActiveResourcesInfo();
      return kinds.map((kind) => all.filter((name) => name === kind).length);
    };
    const before = resources();
    const { app } = await start();
    await collect(app, pathOf('data: 1\n\n'), { count: 1 });
    await collect(app, '/orders/7', { timeoutMs: 10 }).catch(() => undefined);
    await collect(app, '/page').catch(() => undefined);
    await app.close();
    // What the test files before it in this process have left may end meanwhile.
    await until(resources, (after) => after.every((count, n) => count <= before[n]!));
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { EventSource } from 'eventsource';
import { connect, closeClients } from './support/client.js';
import { freePort } from './support/port.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { Sample } from './support/sample.js';
import { until, within } from './support/until.js';

describe('The sample', () => {
  /** In memory, for tests that need one sample and do not end it. */
  let sample: Sample;
  beforeAll(async () => {
    sample = await Sample.startShared();
  });

  it('publishes in one process to clients of another, over Redis', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const [one, two] = await Promise.all([Sample.start(env), Sample.start(env)]);
    const clients = await Promise.all([one, two].map(({ url }) => connect(`${url}/channel`)));
    await Promise.all(clients.map((client) => client.next()));
    const answer = await one.publish({ data: { from: 'one' }, type: 'cool', id: '12345', retry: 6000 });
    expect([answer.status, await answer.json()]).toEqual([201, { id: '12345' }]);
    await two.publish({ data: 'from two' });
    for (const client of clients) {
      expect(await client.take(2)).toMatchObject([
        { id: '12345', event: 'cool', data: '{"from":"one"}' },
        { data: 'from two' },
      ]);
    }
    closeClients();
  });

  it('serves an EventSource that reconnects by itself after a restart', async () => {
    const port = `${await freePort()}`;
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix(), PORT: port };
    const first = await Sample.start(env);
    const seen: string[] = [];
    const source = new EventSource(`${first.url}/sse`);
    source.addEventListener('message', ({ data }) => seen.push(data as string));
    await until(async () => (await first.publish({ data: 'before', retry: 50 }), seen.includes('before')));
    expect(await first.signal('SIGTERM')).toEqual({ code: 0, signal: null });
    const second = await Sample.start(env);
    await until(async () => (await second.publish({ data: 'after' }), seen.includes('after')));
    source.close();
  });

  it('responds to bad input with 400 and the reason, and reports its health', async () => {
    const { url } = sample;
    const publish = (body: object) => sample.publish(body);
    const bad = await publish({ data: 1, type: 'error' });
    expect([bad.status, await bad.json()]).toMatchObject([
      400,
      { message: expect.stringContaining('`type`') },
    ]);
    expect((await publish({})).status).toBe(400);
    expect((await fetch(`${url}/publish`, { method: 'POST' })).status).toBe(400);
    expect((await publish({ data: 'x'.repeat(300_000) })).status).toBe(400);
    expect((await publish({ data: 1, transient: true })).status).toBe(201);
    const health = await fetch(`${url}/health`);
    expect([health.status, await health.json()]).toMatchObject([200, { status: 'ok', connected: true }]);
    expect(await (await fetch(url)).text()).toContain('<title>Server-sent events</title>');
  });

  it('lets users read a record only as long as its owner allows', async () => {
    const { url } = sample;
    const call = (user: { cookie: string }, method: string, path: string, body?: object) =>
      fetch(url + path, {
        method,
        headers: { ...user, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
      });
    const login = async (user: string) => {
      const { headers } = await call({ cookie: '' }, 'POST', '/login', { user });
      expect(headers.get('set-cookie')).toMatch(/^session=[\w-]+; HttpOnly; SameSite=Lax; Path=\/$/);
      return { cookie: headers.get('set-cookie')!.split(';')[0]! };
    };
    const [owner, reader, stranger] = [await login('owner'), await login('reader'), await login('stranger')];
    const open = (user: { cookie: string }) => connect(`${url}/records/7/sse`, user);

    expect((await call(owner, 'PUT', '/records/7', { title: 'one' })).status).toBe(200);
    expect((await call(stranger, 'PUT', '/records/7', { title: 'mine' })).status).toBe(403);
    expect((await call(owner, 'PUT', '/records/7/readers/reader')).status).toBe(204);
    const clients = [await open(owner), await open(reader)];
    for (const client of clients) await client.next();
    await call(owner, 'PUT', '/records/7', { title: 'two' });
    for (const client of clients) expect(await client.next()).toMatchObject({ data: '{"title":"two"}' });
    expect((await open(stranger)).status).toBe(403);
    expect((await connect(`${url}/records/7/sse`)).status).toBe(401);

    expect((await call(owner, 'DELETE', '/records/7/readers/reader')).status).toBe(204);
    await until(() => clients[1]!.ended);
    expect((await open(reader)).status).toBe(403);
    expect((await call(owner, 'POST', '/logout')).status).toBe(204);
    await until(() => clients[0]!.ended);
    expect((await open(owner)).status).toBe(401);
    closeClients();
  });

  it('publishes the stats of each process on the channel `stats` only', async () => {
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    const [one, two] = await Promise.all([Sample.start(env), Sample.start(env)]);
    const stats = await connect(`${one.url}/channel?channel=stats`);
    const sse = await Promise.all([one, two].map(({ url }) => connect(`${url}/channel`)));
    for (const client of [stats, ...sse]) await client.next();
    await one.publish({ data: 'seen' });
    const last = ({ process }: Sample) =>
      stats.events.findLast(({ event, data }) => event === 'metrics' && data.includes(`:${process.pid}"`));
    for (const [node, connections] of [
      [one, 2],
      [two, 1],
    ] as const) {
      await until(
        () => JSON.parse(last(node)?.data ?? '{}') as object,
        (metrics) => 'connections' in metrics && metrics.connections === connections,
      );
      const { channels, events } = JSON.parse(last(node)!.data) as Record<string, number>;
      expect([channels, typeof events]).toEqual([connections, 'number']);
    }
    for (const { events } of sse) expect(events.slice(1)).toMatchObject([{ data: 'seen' }]);
    closeClients();
  });

  it('starts without Redis, responds with 503 within 5 s, and recovers', async () => {
    const redis = await startRedis();
    await redis.kill();
    const other = await Sample.start({ SSE_REDIS_URL: redis.url });
    expect((await fetch(`${other.url}/health`)).status).toBe(503);
    const answer = await within(5_000, 'the answer', other.publish({ data: 1 }));
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { statusCode: 503, message: 'Service Unavailable' },
    ]);
    await redis.start();
    await until(async () => (await other.publish({ data: 2 })).status === 201);
    expect((await fetch(`${other.url}/health`)).status).toBe(200);
    expect(other.output.match(/unreachable/g)).toHaveLength(1);
    expect(other.output.match(/Redis is back/g)).toHaveLength(1);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('exits with code 0 on %s with open connections', async (signal) => {
    const ending = await Sample.start();
    const clients = await Promise.all(['sse', 'channel'].map((path) => connect(`${ending.url}/${path}`)));
    expect(await ending.signal(signal)).toEqual({ code: 0, signal: null });
    await until(() => clients.every(({ ended }) => ended));
  });
});

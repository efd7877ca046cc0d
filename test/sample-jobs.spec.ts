import { once } from 'node:events';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { closeClients, connect, type SseClient } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

const post = (url: string, body: object = {}, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const steps = ({ events }: SseClient) =>
  events
    .filter(({ event }) => event === 'step')
    .map(({ data }) => (JSON.parse(data) as { step: number }).step);
/** The last event of a client, when its response has ended. */
const endOf = async (client: SseClient) => {
  await until(
    () => client.ended || client.events.length,
    (value) => value === true,
  );
  const { event, data } = client.events.at(-1)!;
  return [event, JSON.parse(data)] as const;
};
const statusOf = async ({ url }: Sample, id: string) =>
  (await (await fetch(`${url}/jobs/${id}/status`)).json()) as { state: string; lastEventId?: string };

describe('The jobs of the sample', () => {
  let env: { SSE_REDIS_URL: string; SSE_PREFIX: string };
  let one: Sample;
  let two: Sample;
  beforeAll(async () => {
    env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    [one, two] = await Promise.all([Sample.startShared(env), Sample.startShared(env)]);
  });
  afterEach(closeClients);

  const all = Array.from({ length: 100 }, (_, n) => n + 1);

  it('give each client all steps and the end, on each node, also after the end', async () => {
    const started = await post(`${one.url}/jobs/a`, { paceMs: 10 });
    expect([started.status, await started.json()]).toEqual([
      201,
      { id: 'a', node: expect.stringContaining(`:${one.process.pid}`) },
    ]);
    const clients = await Promise.all([one, two].map(({ url }) => connect(`${url}/jobs/a`)));
    await until(
      () => clients.map(({ events }) => events.length),
      () => clients.every(({ ended }) => ended),
    );
    clients.push(await connect(`${two.url}/jobs/a`));
    for (const client of clients) {
      expect(await endOf(client)).toEqual(['sse.end', { status: 'done' }]);
      expect(steps(client)).toEqual(all);
    }
    const { lastEventId } = await statusOf(two, 'a');
    expect(clients[0]!.events.at(-1)!.id).toBe(lastEventId);
    const again = await connect(`${two.url}/jobs/a`, { 'last-event-id': lastEventId! });
    expect(again.status).toBe(204);
  });

  it('stop on a request to another node', async () => {
    await post(`${one.url}/jobs/b`, { paceMs: 10_000 });
    const client = await connect(`${two.url}/jobs/b`);
    const stop = async () => {
      const answer = await post(`${two.url}/jobs/b/stop`);
      return [answer.status, await answer.json()];
    };
    expect(await stop()).toEqual([200, { result: 'stopped' }]);
    expect(await endOf(client)).toEqual(['sse.end', { status: 'aborted', reason: 'user' }]);
    expect(await stop()).toEqual([200, { result: 'ended' }]);
    for (const node of [one, two]) {
      expect(await statusOf(node, 'b')).toMatchObject({ state: 'aborted', reason: 'user' });
    }
  });

  it('are lost when their node is killed', async () => {
    const killed = await Sample.start(env);
    const { node } = (await (await post(`${killed.url}/jobs/c`)).json()) as { node: string };
    const client = await connect(`${one.url}/jobs/c`);
    await until(() => steps(client).length > 0);
    const exited = once(killed.process, 'exit');
    expect((await post(`${killed.url}/kill`, { node })).status).toBe(202);
    expect(await exited).toEqual([null, 'SIGKILL']);
    expect(await endOf(client)).toEqual(['sse.end', { status: 'lost', reason: 'lease' }]);
    expect(steps(client)).toEqual(all.slice(0, steps(client).length));
    expect(await statusOf(two, 'c')).toMatchObject({ state: 'lost', reason: 'lease' });
  });

  it('respond to bad input with a status, and to an unknown job with 204', async () => {
    for (const paceMs of [0, 1.5, '20', 10_001, null]) {
      expect((await post(`${one.url}/jobs/d`, { paceMs })).status).toBe(400);
    }
    expect((await post(`${one.url}/jobs/${'d'.repeat(200)}`)).status).toBe(400);
    expect((await post(`${one.url}/jobs/e`, { paceMs: 10_000 })).status).toBe(201);
    expect((await post(`${two.url}/jobs/e`)).status).toBe(409);
    expect((await connect(`${one.url}/jobs/unknown`)).status).toBe(204);
    expect(await statusOf(one, 'unknown')).toEqual({ state: 'missing' });
    expect(await (await post(`${one.url}/jobs/unknown/stop`)).json()).toEqual({ result: 'missing' });
    expect((await one.publish({ data: 1, channel: 'job:e' })).status).toBe(400);
    await post(`${one.url}/jobs/e/stop`);
  });

  it('cannot be started, nor their node killed, by forms of other sites', async () => {
    const form = { 'content-type': 'text/plain' };
    const { node } = (await (await fetch(`${one.url}/node`)).json()) as { node: string };
    for (const path of ['jobs/f', 'jobs/f/stop', 'kill']) {
      expect((await post(`${one.url}/${path}`, { node }, form)).status).toBe(415);
    }
    expect((await fetch(`${one.url}/kill`, { method: 'POST' })).status).toBe(400);
    expect((await post(`${one.url}/kill`, { node: 'other' })).status).toBe(400);
    expect(await statusOf(one, 'f')).toEqual({ state: 'missing' });
  });
});

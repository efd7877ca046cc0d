import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { closeClients, connect } from './support/client.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

describe('The open routes of the sample', () => {
  let sample: Sample;
  let cookie: string;
  beforeAll(async () => {
    sample = await Sample.startShared();
    const login = await call('POST', '/login', { user: 'owner' });
    cookie = login.headers.get('set-cookie')!.split(';')[0]!;
    expect((await call('PUT', '/records/7', { title: 'one' })).status).toBe(200);
  });
  afterEach(closeClients);

  const call = (method: string, path: string, body: object) =>
    fetch(sample.url + path, {
      method,
      headers: { ...(cookie && { cookie }), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  it.each([
    'channel?channel=record:7',
    'channel?channel=sse&channel=record:7',
    'channel?channel=record:7&lastEventId=1763884800000-1',
    'channel?channel[]=record:7',
    'sse?channel=record:7',
    'sse?channel=sse&channel=record:7',
  ])('refuse to read a record: %s', async (path) => {
    const client = await connect(`${sample.url}/${path}`);
    // With `@Sse`, Nest may have sent the response headers already. It then reports the error in an event.
    await call('PUT', '/records/7', { title: 'two' });
    await sample.publish({ data: 'on sse' });
    await until(() => client.ended || client.text.includes('on sse'));
    expect(client.text).not.toContain('two');
    if (path.startsWith('channel?channel=')) expect(client.status).toBe(403);
  });

  it('give a record to its readers, with the position after which its changes come', async () => {
    await call('PUT', '/records/7', { title: 'three' });
    const answer = await fetch(`${sample.url}/records/7`, { headers: { cookie } });
    const { lastEventId, record } = (await answer.json()) as { lastEventId: string; record: object };
    expect(record).toEqual({ title: 'three' });
    await call('PUT', '/records/7', { title: 'four' });
    const reader = await connect(`${sample.url}/records/7/sse?lastEventId=${lastEventId}`, { cookie });
    expect((await reader.next()).data).toBe('{"title":"four"}');
    const login = await fetch(`${sample.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"user":"eve"}',
    });
    const other = { cookie: login.headers.get('set-cookie')!.split(';')[0]! };
    expect((await fetch(`${sample.url}/records/7`, { headers: other })).status).toBe(403);
    expect((await fetch(`${sample.url}/records/7`)).status).toBe(401);
  });

  it('refuse to publish to a record', async () => {
    const reader = await connect(`${sample.url}/records/7/sse`, { cookie });
    await reader.next();
    expect((await sample.publish({ data: 'forged', channel: 'record:7' })).status).toBe(403);
    expect((await sample.publish({ data: 'forged', channel: ['record:7'] })).status).toBe(403);
    await call('PUT', '/records/7', { title: 'two' });
    expect(await reader.next()).toMatchObject({ data: '{"title":"two"}' });
  });

  it.each<[string, string, string | undefined, string | URLSearchParams | Blob]>([
    ['publish', 'a form', undefined, new URLSearchParams({ data: 'forged' })],
    ['publish', 'text', undefined, '{"data":"forged"}'],
    ['publish', 'text that pretends', 'text/plain;application/json', '{"data":"forged"}'],
    ['publish', 'something like JSON', 'application/jsonp', '{"data":"forged"}'],
    ['publish', 'a form with a file', 'multipart/form-data; boundary=x', '{"data":"forged"}'],
    ['publish', 'a body without a type', undefined, new Blob(['{"data":"forged"}'])],
    ['login', 'a form', undefined, new URLSearchParams({ user: 'attacker' })],
    ['login', 'text', undefined, '{"user":"attacker"}'],
  ])('refuse a POST to /%s from %s, as another site can send it', async (path, _what, type, body) => {
    const client = await connect(`${sample.url}/channel`);
    await client.next();
    const response = await fetch(`${sample.url}/${path}`, {
      method: 'POST',
      headers: { ...(type && { 'content-type': type }), origin: 'https://elsewhere.example' },
      body,
    });
    expect(response.status).toBe(body instanceof Blob ? 400 : 415);
    expect(response.headers.get('set-cookie')).toBeNull();
    await sample.publish({ data: 'genuine' });
    expect(await client.next()).toMatchObject({ data: 'genuine' });
  });
});

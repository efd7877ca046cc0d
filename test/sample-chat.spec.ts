import { once } from 'node:events';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { closeClients, connect, type SseClient } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

interface Chunk {
  type: string;
  delta?: string;
  errorText?: string;
  messageId?: string;
}
interface Chat {
  messages: { id: string; role: string; parts: { text: string }[]; metadata?: { end: object } }[];
  generation?: string;
}

const user = (id: string, text = 'Why?') => ({ id, role: 'user', parts: [{ type: 'text', text }] });
const post = (url: string, body: unknown = {}, type = 'application/json') =>
  fetch(url, { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(body) });
/** Asks, without a wait for the answer. */
const ask = async ({ url }: Sample, id: string, options: object = {}) => {
  const response = await post(`${url}/chat`, { id, messages: [user('u1')], ...options });
  expect(response.status).toBe(200);
  return response;
};
const read = async ({ url }: Sample, id: string) => (await (await fetch(`${url}/chat/${id}`)).json()) as Chat;
const resume = ({ url }: Sample, id: string, lastEventId = '') =>
  connect(`${url}/chat/${id}/stream`, lastEventId ? { 'last-event-id': lastEventId } : {});
const chunksOf = ({ events }: Pick<SseClient, 'events'>) =>
  events.filter(({ data }) => data !== '[DONE]').map(({ data }) => JSON.parse(data) as Chunk);
const textOf = (chunks: Chunk[]) => chunks.map(({ delta = '' }) => delta).join('');
/** All chunks of a client, once its response has ended with `[DONE]`. */
const whole = async (client: SseClient) => {
  await until(
    () => client.ended || client.events.length,
    (value) => value === true,
  );
  expect([client.response.complete, client.events.at(-1)!.data]).toEqual([true, '[DONE]']);
  return chunksOf(client);
};
const written = (client: SseClient) => until(() => chunksOf(client).some(({ delta }) => delta !== undefined));

describe('The chats of the sample', () => {
  let env: { SSE_REDIS_URL: string; SSE_PREFIX: string };
  let one: Sample;
  let two: Sample;
  beforeAll(async () => {
    env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    [one, two] = await Promise.all([Sample.startShared(env), Sample.startShared(env)]);
  });
  afterEach(closeClients);

  it('answer in the format of the AI SDK, and have the answer on each node once its stream has ended', async () => {
    const response = await ask(one, 'a', { length: 20, tokensPerSecond: 200 });
    expect(response.headers.get('x-vercel-ai-ui-message-stream')).toBe('v1');
    const data = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, json]) => json!);
    expect(data.pop()).toBe('[DONE]');
    const chunks = data.map((json) => JSON.parse(json) as Chunk);
    const deltas = Array.from({ length: 20 }, () => 'text-delta');
    expect(chunks.map(({ type }) => type)).toEqual([
      'start',
      'start-step',
      'text-start',
      ...deltas,
      'text-end',
      'finish-step',
      'finish',
    ]);
    const { messages, generation } = await read(two, 'a');
    expect(messages).toEqual([
      user('u1'),
      {
        id: chunks[0]!.messageId,
        role: 'assistant',
        parts: [{ type: 'text', text: textOf(chunks) }],
        metadata: { node: expect.stringContaining(`:${one.process.pid}`), end: { status: 'done' } },
      },
    ]);
    expect([generation, (await resume(two, 'a')).status]).toEqual([undefined, 204]);
  });

  it('give a page that loads during an answer all of it, also if it has ended before the page resumes', async () => {
    await ask(one, 'b', { length: 40, tokensPerSecond: 50 });
    const { messages, generation } = await read(two, 'b');
    expect(messages).toEqual([user('u1')]);
    const live = await resume(two, 'b', generation);
    const chunks = await whole(live);
    expect(chunks.filter(({ delta }) => delta)).toHaveLength(40);
    expect(await whole(await resume(one, 'b', generation))).toEqual(chunks);
    const [, , , third] = live.events;
    expect(await whole(await resume(two, 'b', third!.id))).toEqual(chunks.slice(4));
    expect((await read(two, 'b')).messages[1]).toMatchObject({ parts: [{ text: textOf(chunks) }] });
  });

  it('stop on a request to another node, and keep what was written', async () => {
    await ask(one, 'c', { length: 2_000 });
    const client = await resume(two, 'c');
    await written(client);
    const stop = async () => (await post(`${two.url}/chat/c/stop`)).json();
    expect(await stop()).toEqual({ result: 'stopped' });
    const chunks = await whole(client);
    expect(chunks.at(-1)).toEqual({ type: 'abort' });
    expect(await stop()).toEqual({ result: 'ended' });
    const { messages } = await until(
      () => read(two, 'c'),
      (chat) => chat.messages.length === 2,
    );
    expect(messages[1]!.metadata!.end).toEqual({ status: 'aborted', reason: 'user' });
    expect(messages[1]!.parts[0]!.text).toContain(textOf(chunks));
  });

  it('show the error of a model', async () => {
    const response = await ask(one, 'd', { length: 10, tokensPerSecond: 200, fails: true });
    const text = await response.text();
    expect(text).toContain('data: {"type":"error","errorText":"The model is overloaded"}\n\n');
    expect(text.match(/text-delta/g)).toHaveLength(5);
    const [, answer] = (await read(two, 'd')).messages;
    expect(answer!.metadata!.end).toEqual({ status: 'error', reason: 'The model is overloaded' });
  });

  it('lose an answer visibly when its node is killed, and answer the same message again', async () => {
    const killed = await Sample.start(env);
    await ask(killed, 'e', { length: 2_000, tokensPerSecond: 100 });
    const client = await resume(one, 'e');
    await written(client);
    const { node } = (await (await fetch(`${killed.url}/node`)).json()) as { node: string };
    const exited = once(killed.process, 'exit');
    await post(`${killed.url}/kill`, { node });
    await exited;
    const chunks = await whole(client);
    expect(chunks.at(-1)).toEqual({ type: 'error', errorText: 'The answer was lost' });
    // Nothing has saved the answer: its stream has what was produced.
    const { messages, generation } = await read(two, 'e');
    expect(messages).toEqual([user('u1')]);
    expect(await whole(await resume(two, 'e', generation))).toEqual(chunks);

    await (await ask(two, 'e', { length: 5, tokensPerSecond: 200 })).text();
    const again = await read(one, 'e');
    expect(again.messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
  });

  it('replace an unfinished answer by that of the next message, and keep the order', async () => {
    await ask(one, 'f', { length: 2_000 });
    const first = await resume(two, 'f');
    await written(first);
    const next = {
      id: 'f',
      messages: [user('u1'), user('u2', 'And then?')],
      length: 5,
      tokensPerSecond: 200,
    };
    await (await post(`${two.url}/chat`, next)).text();
    expect((await whole(first)).at(-1)).toEqual({ type: 'abort' });
    const { messages } = await until(
      () => read(two, 'f'),
      (chat) => chat.messages.length === 4,
    );
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(messages.flatMap(({ metadata }) => metadata?.end ?? [])).toEqual([
      { status: 'aborted', reason: 'replaced' },
      { status: 'done' },
    ]);
  });

  it('tell open pages of each answer that starts', async () => {
    const page = await connect(`${two.url}/chat/g/starts`);
    await page.next();
    await ask(one, 'g', { length: 5, tokensPerSecond: 200 });
    const [, answer] = (
      await until(
        () => read(one, 'g'),
        (chat) => chat.messages.length === 2,
      )
    ).messages;
    const starts = await until(
      () => page.events.filter(({ event }) => event === undefined),
      ({ length }) => length > 0,
    );
    expect(starts.map(({ data }) => (JSON.parse(data) as Chunk).messageId)).toEqual([answer!.id]);
  });

  it('respond to bad input with a status', async () => {
    const refused = async (body: unknown) => {
      const response = await post(`${one.url}/chat`, body);
      return [response.status, ((await response.json()) as { message: string }).message];
    };
    const good = { id: 'h', messages: [user('u1')] };
    const wrong: [string, object][] = [
      ['`id`', { id: undefined }],
      ['`id`', { id: 'a b' }],
      ['`id`', { id: 'h'.repeat(65) }],
      ['`id of the message`', { messages: [user('')] }],
      ['`messages`', { messages: 'Why?' }],
      ['`messages`', { messages: [] }],
      ['`messages`', { messages: [null] }],
      ['`messages`', { messages: [{ ...user('u1'), role: 'assistant' }] }],
      ['`messages`', { messages: [user('u1', ' ')] }],
      ['`messages`', { messages: [user('u1', 'x'.repeat(4_001))] }],
      ['`messages`', { messages: [{ ...user('u1'), parts: [{ type: 'text', text: 5 }, null] }] }],
      ...[0, 1.5, '20', 201, null].map(
        (tokensPerSecond) => ['`tokensPerSecond`', { tokensPerSecond }] as const,
      ),
      ...[0, 2_001, {}].map((length) => ['`length`', { length }] as const),
      ['`fails`', { fails: 'no' }],
    ] as [string, object][];
    for (const [name, fields] of wrong) {
      expect(await refused({ ...good, ...fields })).toEqual([400, expect.stringContaining(name)]);
    }
    expect((await fetch(`${one.url}/chat`, { method: 'POST' })).status).toBe(400);
    for (const path of ['h!', 'h!/stream', 'h!/starts']) {
      expect((await fetch(`${one.url}/chat/${path}`)).status).toBe(400);
    }
    expect((await post(`${one.url}/chat/h!/stop`)).status).toBe(400);
    expect(await read(one, 'h')).toEqual({ messages: [] });
    expect((await resume(one, 'h')).status).toBe(204);
    expect(await (await post(`${one.url}/chat/h/stop`)).json()).toEqual({ result: 'missing' });
  });

  it('cannot be continued or stopped by forms of other sites', async () => {
    for (const path of ['chat', 'chat/i/stop']) {
      expect(
        (await post(`${one.url}/${path}`, { id: 'i', messages: [user('u1')] }, 'text/plain')).status,
      ).toBe(415);
    }
    expect(await read(one, 'i')).toEqual({ messages: [] });
  });

  it('need no Redis on a single node', async () => {
    const alone = await Sample.start();
    const text = await (await ask(alone, 'j', { length: 5, tokensPerSecond: 200 })).text();
    expect(text).toContain('data: [DONE]');
    const { messages } = await read(alone, 'j');
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(await (await fetch(`${alone.url}/chat`)).text()).toContain(
      '<title>An AI chat on a stream</title>',
    );
  });
});

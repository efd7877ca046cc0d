import { connect as connectHttp2 } from 'node:http2';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Platform, platforms, terminate } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { startFormats as start } from './support/formats-app.js';
import { watchLog } from './support/log.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { startHeld, stores } from './support/streams-app.js';
import { until } from './support/until.js';

const chunks = ({ events }: SseClient) => events.map(({ data }) => data);
const text = (delta: string) => ({ type: 'text-delta', id: '1', delta });
const ended = (client: SseClient) => until(() => client.ended);

const { failed } = watchLog();

describe.each(platforms)('A stream in another format on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, options) => {
    it('has the chunks of the AI SDK alone, from the first one, and [DONE] after its end', async () => {
      const { url, streams } = await start(platform, options());
      const { out, release, handle } = await startHeld(streams, 'chat:1');
      out.write({ type: 'start' });
      out.write(text('a'), { type: 'ignored' });
      const client = await connect(`${url}/ai/chat:1`);
      expect(client.status).toBe(200);
      expect(client.headers['x-vercel-ai-ui-message-stream']).toBe('v1');
      expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
      await client.take(2);
      out.write(text('b'));
      await client.take(1);
      release();
      await handle.done;
      await ended(client);
      expect(client.response.complete).toBe(true);
      const sent = [{ type: 'start' }, text('a'), text('b')].map((chunk) => JSON.stringify(chunk));
      expect(chunks(client)).toEqual([...sent, '[DONE]']);
      expect(client.events.every(({ id, event }) => id !== undefined && event === undefined)).toBe(true);
      expect(client.text).toMatch(
        /^retry: \d+\n:heartbeat 1000\nid: \d+-\d+\n\n(?:id: \d+-\d+\ndata: .*\n\n){4}$/,
      );
    });

    it('ends with a chunk that says so if it was stopped, has failed, or was lost', async () => {
      const { url, streams } = await start(platform, options());
      const { out } = await startHeld(streams, 'stopped');
      out.write({ type: 'start' });
      const stopped = await connect(`${url}/ai/stopped`);
      expect(await streams.abort('stopped')).toBe('stopped');
      await ended(stopped);
      expect(chunks(stopped)).toEqual(['{"type":"start"}', '{"type":"abort"}', '[DONE]']);

      const failing = await startHeld(streams, 'failing');
      const reader = await connect(`${url}/ai/failing`);
      void failing.out.fail('The model is overloaded');
      await ended(reader);
      expect(chunks(reader)).toEqual(['{"type":"error","errorText":"The model is overloaded"}', '[DONE]']);
    });

    it('is 204 where there is nothing to resume: it is missing, has ended, or is not the one of the id', async () => {
      const { url, streams } = await start(platform, options());
      const answer = async (id: string, lastEventId = '') => {
        const client = await connect(`${url}/ai/${id}`, { 'last-event-id': lastEventId });
        if (client.status === 204) return 204;
        await ended(client);
        return chunks(client);
      };
      expect(await answer('missing')).toBe(204);
      expect(await answer('missing', '1-0')).toBe(204);

      const { out, release, handle } = await startHeld(streams, 'ended');
      out.write({ type: 'start' });
      out.write(text('a'));
      const client = await connect(`${url}/ai/ended`);
      const [first] = await client.take(2);
      release();
      await handle.done;
      expect(await answer('ended')).toBe(204);
      expect(await answer('ended', handle.generation)).toEqual([
        '{"type":"start"}',
        JSON.stringify(text('a')),
        '[DONE]',
      ]);
      expect(await answer('ended', first!.id)).toEqual([JSON.stringify(text('a')), '[DONE]']);
      const { lastEventId, generation } = await streams.status('ended');
      expect(generation).toBe(handle.generation);
      expect(await answer('ended', lastEventId)).toBe(204);
      expect(await answer('ended', 'no-position')).toBe(204);

      const next = await startHeld(streams, 'ended');
      next.out.write({ type: 'start' });
      expect(await answer('ended', first!.id)).toBe(204);
      next.release();
    });

    it('is delivered by the request that starts it also if it has ended before', async () => {
      const { url } = await start(platform, options());
      // The id is of another stream.
      const headers = { 'last-event-id': '1-0' };
      const response = await fetch(`${url}/ai/fast`, { method: 'POST', headers });
      expect(response.status).toBe(200);
      expect(await response.text()).toMatch(
        /^retry: \d+\n:heartbeat 1000\nid: \S+\n\nid: \S+\ndata: \{"type":"start"\}\n\nid: \S+\ndata: \[DONE\]\n\n$/,
      );
    });

    it('is delivered to the request that has started it, where another one replaces it at once', async () => {
      const { url } = await start(platform, options());
      for (let round = 0; round < 10; round++) {
        const ask = async (by: string) => (await fetch(`${url}/asked/chat/${by}`, { method: 'POST' })).text();
        const [one, two] = await Promise.all([ask('one'), ask('two')]);
        expect([one.includes('"two"'), two.includes('"one"')]).toEqual([false, false]);
        for (const answer of [one, two]) expect(answer).toContain('[DONE]');
      }
    });

    it('is cut, and never ended, where the connection ends before the stream', async () => {
      const { app, url, streams } = await start(platform, { ...options(), maxConnectionAgeMs: 1_000 });
      const { out } = await startHeld(streams, 'chat');
      out.write({ type: 'start' });
      const old = await connect(`${url}/ai/chat`);
      await ended(old);
      expect([old.response.complete, chunks(old)]).toEqual([false, ['{"type":"start"}']]);

      const draining = await connect(`${url}/numbers/chat`);
      await draining.take(1);
      const closing = terminate(app);
      await ended(draining);
      // The end of the stream may get to its readers before the node closes their connections.
      const ends = draining.response.complete
        ? ['{"type":"start"}', 'aborted shutdown']
        : ['{"type":"start"}'];
      expect(chunks(draining)).toEqual(ends);
      await closing;
    });

    it('may be of the application: headers, answers and positions of its own', async () => {
      const { url, streams } = await start(platform, options());
      const { out, release, handle } = await startHeld(streams, 'n');
      for (let n = 1; n <= 4; n++) out.write(n, n === 4 ? { type: '#' } : {});
      release();
      await handle.done;
      const all = await connect(`${url}/numbers/n`);
      await ended(all);
      expect(all.headers['x-format']).toBe('numbers');
      expect(chunks(all)).toEqual(['1', '2', '3', '#4', 'done undefined']);
      const rest = await connect(`${url}/numbers/n?after=2`);
      await ended(rest);
      expect(chunks(rest)).toEqual(['3', '#4', 'done undefined']);
      const missing = await fetch(`${url}/numbers/missing`);
      expect([missing.status, await missing.json()]).toEqual([404, { error: 'nothing' }]);
      const wrong = await fetch(`${url}/wrong/missing`);
      expect([wrong.status, String(failed.mock.calls).includes('nothing() of a format')]).toEqual([
        500,
        true,
      ]);
      const head = await fetch(`${url}/numbers/n`, { method: 'HEAD' });
      expect(head.headers.get('x-format')).toBe('numbers');
    });
  });

  it('is cut where its node closes, and the stream goes on', async () => {
    const options = { redis: redisUrl(), prefix: randomPrefix() };
    const [owner, node] = [await start(platform, options), await start(platform, options)];
    const { out } = await startHeld(owner.streams, 'chat');
    out.write({ type: 'start' });
    const client = await connect(`${node.url}/ai/chat`);
    await client.take(1);
    await node.app.close();
    await ended(client);
    expect([client.response.complete, chunks(client)]).toEqual([false, ['{"type":"start"}']]);
  });

  it('ends as lost for a reader whose events Redis has lost', async () => {
    const redis = await startRedis();
    const { url, streams } = await start(platform, { redis: redis.url, prefix: 'sse:' });
    const { out } = await startHeld(streams, 'chat', { leaseMs: 1_000 });
    out.write({ type: 'start' });
    const client = await connect(`${url}/ai/chat`);
    await client.take(1);
    const admin = redis.admin();
    await admin.flushall();
    await admin.quit();
    await ended(client);
    expect(client.response.complete).toBe(true);
    const error = JSON.stringify({ type: 'error', errorText: 'The answer was lost' });
    expect(chunks(client)).toEqual(['{"type":"start"}', error, '[DONE]']);
  });

  it('is cut, with a log entry, at an event that its format cannot write', async () => {
    const { url, streams } = await start(platform, {});
    const { out, release } = await startHeld(streams, 'x');
    out.write('no chunk');
    const cut = async (path: string) => {
      const read = async () => (await fetch(`${url}${path}`)).text();
      await expect(read()).rejects.toThrow();
    };
    await cut('/ai/x');
    expect(String(failed.mock.calls)).toContain('expects UI message chunks: objects with a `type`');
    out.write('unwritable');
    await cut('/numbers/x');
    const next = await startHeld(streams, 'y');
    next.out.write('late');
    await cut('/numbers/y');
    expect(String(failed.mock.calls)).toContain('Expected event() of a format to return a text');
    next.release();
    release();
  });

  it('is 503 where it is not known, or has not started yet, as its clients do not retry an empty answer', async () => {
    const { url, streams } = await start(platform, { limits: { connections: 1 } });
    expect((await fetch(`${url}/expected/later`)).status).toBe(503);
    await startHeld(streams, 'live');
    await connect(`${url}/ai/live`);
    const refused = await fetch(`${url}/ai/live`);
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([503, true]);
  });
});

describe('A stream in another format over HTTP/2', () => {
  const sessions: { destroy(): void }[] = [];
  afterEach(() => sessions.splice(0).forEach((session) => session.destroy()));

  it('is reset with an error code where the connection ends before the stream', async () => {
    const platform = (() => new FastifyAdapter({ http2: true })) as unknown as Platform;
    const { url, streams } = await start(platform, { maxConnectionAgeMs: 1_000 });
    const { out } = await startHeld(streams, 'chat');
    out.write({ type: 'start' });
    const session = connectHttp2(url);
    sessions.push(session);
    const codeOf = async (path: string) => {
      const request = session.request({ ':path': path }).resume();
      request.on('error', () => undefined);
      await new Promise((resolve) => request.once('close', resolve));
      return request.rstCode;
    };
    expect(await codeOf('/ai/chat')).not.toBe(0);
    out.write('no chunk');
    expect(await codeOf('/ai/chat')).not.toBe(0);
  });
});

import { describe, expect, it } from '@jest/globals';
import { ForbiddenException, GoneException, NotFoundException, UnauthorizedException } from '@nestjs/common';
import { platforms } from './support/app.js';
import type { SseClient } from './support/client.js';
import { watchLog } from './support/log.js';
import { routes, startReaders } from './support/readers.js';
import { until, within } from './support/until.js';

const never = () => new Promise(() => undefined);
const { failed } = watchLog();

describe.each(platforms)('An authorizer that fails on %s', (_, platform) => {
  const retryOf = ({ text }: SseClient) => Number(/^retry: (\d+)\n$/.exec(text)?.[1]);

  describe.each(routes)('(/%s)', (path) => {
    it.each<[string, () => unknown]>([
      ['rejects', () => Promise.reject(new Error('\u001b[2J\nThe database is gone, at 10.0.0.7'))],
      [
        'throws',
        () => {
          throw new TypeError('no such table');
        },
      ],
      [
        'throws what is no error',
        () => {
          // oxlint-disable-next-line typescript/only-throw-error -- as some libraries do
          throw 'out of connections';
        },
      ],
      ['rejects with nothing', () => Promise.reject()],
    ])('lets clients retry if it %s', async (_what, answer) => {
      const { sse, answers, read } = await startReaders(platform, { retryMs: 1_000 });
      await sse.publish('secret', { channel: 'a' });
      answers.of = answer;
      const client = await read(`${path}?channel=a`, 'ann', { 'last-event-id': '0-0' });
      await until(() => client.ended);
      expect([client.status, client.headers['content-type']]).toEqual([
        200,
        'text/event-stream; charset=utf-8',
      ]);
      // The response has neither an event nor the cause.
      expect(retryOf(client)).toBeGreaterThanOrEqual(1_000);
      expect(retryOf(client)).toBeLessThanOrEqual(1_500);
      expect(sse.stats().refused).toBe(1);
      expect(sse.connections()).toEqual([]);

      answers.of = () => ({ user: 'ann' });
      const again = await read(`${path}?channel=a`, 'ann');
      await until(() => sse.connections().length === 1);
      expect(again.status).toBe(200);
    });

    it('lets clients retry if it does not respond', async () => {
      const { sse, answers, read } = await startReaders(platform);
      answers.of = never;
      const client = await read(`${path}?channel=a&channel=b`, 'ann');
      await until(() => client.ended);
      expect([client.status, retryOf(client) > 0, sse.stats().refused]).toEqual([200, true, 1]);
      expect(failed.mock.calls).toEqual([[expect.stringContaining('no answer within 5000 ms')]]);
    });

    it('is logged once for each cause, by name and in one line', async () => {
      const { answers, read } = await startReaders(platform);
      for (const cause of [new Error('\u001b[2J\nThe database is gone'), 'a string', undefined]) {
        answers.of = () => Promise.reject(cause);
        const clients = await Promise.all([1, 2, 3].map(() => read(`${path}?channel=a`, 'ann')));
        await until(() => clients.every(({ ended }) => ended));
      }
      const lines = failed.mock.calls.map(([line]) => String(line));
      expect(lines).toEqual([
        expect.stringMatching(/^Readers .*The database is gone/),
        expect.stringMatching(/^Readers .*"a string"$/),
        expect.stringMatching(/^Readers .*undefined$/),
      ]);
      for (const line of lines) expect(line).toMatch(/^[^\p{Cc}]+$/u);
    });

    it.each([
      [403, ForbiddenException],
      [401, UnauthorizedException],
      [404, NotFoundException],
      [410, GoneException],
    ])('may refuse with its own status: %i', async (status, Exception) => {
      const { sse, answers, read } = await startReaders(platform);
      answers.of = () => Promise.reject(new Exception());
      expect((await read(`${path}?channel=a`, 'ann')).status).toBe(status);
      answers.of = () => false;
      expect((await read(`${path}?channel=a`, 'ann')).status).toBe(403);
      expect(sse.stats().refused).toBe(0);
      expect(failed.mock.calls).toEqual([]);
    });

    it('closes open connections, whose clients retry, and refuses them only after a decision', async () => {
      const { sse, answers, read } = await startReaders(platform, { revalidateMs: 1_000 });
      const ends: unknown[] = [];
      sse.onDisconnect(({ reason }) => ends.push(reason));
      const open = await read(`${path}?channel=a`, 'ann');
      await until(() => sse.connections().length === 1);
      answers.of = () => Promise.reject(new Error('The database is gone'));
      await until(() => open.ended);
      const retried = await read(`${path}?channel=a`, 'ann');
      await until(() => retried.ended);
      expect(retried.status).toBe(200);
      answers.of = () => ({ user: 'ann' });
      const again = await read(`${path}?channel=a`, 'ann');
      await until(() => sse.connections().length === 1);
      answers.of = () => false;
      await until(() => again.ended);
      expect((await read(`${path}?channel=a`, 'ann')).status).toBe(403);
      await until(() => ends.length === 2);
      expect(ends).toEqual(['undecided', 'denied']);
    });

    it('keeps no connection open for longer than revalidateMs and the time for a decision, for any number of pending decisions', async () => {
      const { sse, answers, read } = await startReaders(platform, { revalidateMs: 2_000 });
      // The node requests at most 64 decisions at once.
      const count = path === 'asked' ? 400 : 100;
      const clients = await Promise.all(
        Array.from({ length: count }, (__, n) => read(`${path}?channel=a`, `u${n}`)),
      );
      await until(() => sse.connections().length === count);
      answers.of = never;
      // Plus the delay of timers on a busy machine.
      await within(
        2_000 + 5_000 + 3_000,
        'The end of all',
        until(() => sse.connections().length === 0),
      );
      await until(() => clients.every(({ ended }) => ended));
    });
  });

  it('has the same time for a hundred channels as for one', async () => {
    const { sse, answers, read } = await startReaders(platform);
    answers.of = async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return { user: 'ann' };
    };
    const query = Array.from({ length: 100 }, (__, n) => `channel=c${n}`).join('&');
    const client = await read(`asked?${query}`, 'ann');
    await until(() => sse.connections().length === 1);
    expect(client.status).toBe(200);
  });

  it('that refuses one channel frees its share of decisions, although decisions on other channels are pending', async () => {
    const { answers, read } = await startReaders(platform);
    answers.of = (_user, channel) => (channel === 'a' ? false : never());
    const refused = await Promise.all(
      Array.from({ length: 70 }, () => read('asked?channel=a&channel=b', 'ann')),
    );
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([403]));
    answers.of = (user) => ({ user });
    const client = await read('asked?channel=a', 'ann');
    expect((await client.next()).event).toBe('sse.open');
  });
});

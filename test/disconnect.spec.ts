import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import type { SseClient } from './support/client.js';
import { routes, startReaders } from './support/readers.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { until } from './support/until.js';

const brokers = ['memory', 'Redis'] as const;
const optionsOf = (broker: string) =>
  broker === 'Redis' ? { redis: redisUrl(), prefix: randomPrefix() } : {};
const data = ({ events }: SseClient) => events.map((event) => event.data);

describe.each(platforms.flatMap((platform) => brokers.map((broker) => [...platform, broker] as const)))(
  'disconnect() on %s',
  (_, platform, broker) => {
    const start = (options: object = {}) => startReaders(platform, { ...optionsOf(broker), ...options });

    describe.each(routes)(`over ${broker} (/%s)`, (path) => {
      it('resolves to the number of connections that it closed on this node', async () => {
        const { sse, read } = await start();
        const clients = await Promise.all(
          ['ann', 'ann', 'bob', 'cem'].map((user) => read(`${path}?channel=a`, user)),
        );
        await until(() => sse.connections().length === 4);
        expect(await sse.disconnect({ user: 'ann', channel: 'b' })).toBe(0);
        expect(await sse.disconnect({ user: 'ann' })).toBe(2);
        expect(await sse.disconnect({ user: 'ann' })).toBe(0);
        const { id } = sse.connections().find(({ user }) => user === 'bob')!;
        expect(
          await Promise.all([sse.disconnect({ connection: id }), sse.disconnect({ channel: 'a' })]),
        ).toEqual([1, 1]);
        await until(() => clients.every(({ ended }) => ended));
        expect(await sse.disconnect({ channel: 'a' })).toBe(0);
      });

      it('closes only the connections of the session', async () => {
        const { sse, answers, read } = await start();
        answers.of = (name) => ({ user: 'ann', session: name });
        const [phone, laptop] = [
          await read(`${path}?channel=a`, 's1'),
          await read(`${path}?channel=a`, 's2'),
        ];
        await until(() => sse.connections().length === 2);
        expect(await sse.disconnect({ session: 's1', user: 'bob' })).toBe(0);
        expect(await sse.disconnect({ session: 's1', user: 'ann' })).toBe(1);
        await until(() => phone.ended);
        const again = await read(`${path}?channel=a`, 's1');
        await until(() => again.ended);
        // With @Sse, the subscription need not be live with the response headers.
        await until(async () => {
          await sse.publish('to the laptop', { channel: 'a' });
          return data(laptop).includes('to the laptop');
        });
        expect([laptop.ended, data(again)]).toEqual([false, []]);
      });

      it.each([{ user: 'owner of a' }, { user: 'owner of c' }, { session: 'session of b' }])(
        'closes a connection with several users by %j',
        async (target) => {
          const { sse, answers, read } = await start();
          answers.of = (_user, channel) => ({
            user: `owner of ${channel}`,
            session: `session of ${channel}`,
          });
          const query = 'channel=a&channel=b&channel=c';
          const client = await read(`${path}?${query}`, 'ann');
          await until(() => sse.connections().length === 1);
          expect(await sse.disconnect({ user: 'owner of d' })).toBe(0);
          expect(await sse.disconnect(target)).toBe(1);
          await until(() => client.ended);
          const again = await read(`${path}?${query}`, 'ann');
          await until(() => again.ended);
          expect(again.events).toEqual([]);
        },
      );

      it('refuses no reconnection to a channel unless refuseMs is set', async () => {
        const { sse, read } = await start();
        const first = await read(`${path}?channel=a`, 'ann');
        await until(() => sse.connections().length === 1);
        expect(await sse.disconnect({ channel: 'a' })).toBe(1);
        await until(() => first.ended && sse.connections().length === 0);
        await sleep(5);
        const second = await read(`${path}?channel=a`, 'ann');
        await until(() => sse.connections().length === 1);
        expect(await sse.disconnect({ channel: 'a' }, { refuseMs: 60_000 })).toBe(1);
        await until(() => second.ended);
        const third = await read(`${path}?channel=a`, 'bob');
        await until(() => third.ended);
        expect(third.events).toEqual([]);
      });

      it('ignores a decision that was requested before it', async () => {
        const { sse, answers, read } = await start();
        // On a node without connections, and on one with connections.
        for (const isBusy of [false, true]) {
          if (isBusy) {
            await read(`${path}?channel=other`, 'bob');
            await until(() => sse.connections().length === 1);
          }
          const asked: string[] = [];
          let answer = () => {};
          answers.of = async (user, channel) => {
            asked.push(channel);
            await new Promise<void>((resolve) => (answer = resolve));
            return { user };
          };
          const pending = read(`${path}?channel=a`, 'ann');
          await until(() => asked.length === 1);
          await sse.disconnect({ user: 'ann' }, { refuseMs: 0 });
          await sse.publish('secret', { channel: 'a' });
          answer();
          const client = await pending;
          await until(() => client.ended);
          expect([client.status, client.events]).toEqual([200, []]);
          answers.of = (user) => ({ user });
        }
      });
    });

    it(`closes the connection of a user that a handler names, over ${broker}`, async () => {
      const { sse, read } = await start();
      const named = await read('named/ann', 'ann');
      await until(() => sse.connections().length === 1);
      expect(await sse.disconnect({ user: 'ann' }, { refuseMs: 0 })).toBe(1);
      await until(() => named.ended);
    });
  },
);

describe.each(platforms)('A node without connections on %s', (_, platform) => {
  const startNodes = async (options: object = { redis: redisUrl(), prefix: randomPrefix() }) =>
    [await startReaders(platform, options), await startReaders(platform, options)] as const;

  it.each(routes)('reads all disconnections before it sends an event (/%s)', async (path) => {
    const [one, other] = await startNodes();
    await other.sse.publish('secret', { channel: 'a' });
    await one.sse.disconnect({ user: 'first' });
    await Promise.all(Array.from({ length: 1_001 }, (__, n) => one.sse.disconnect({ user: `u${n}` })));
    await one.sse.disconnect({ user: 'last' });
    for (const user of ['first', 'last', 'u500']) {
      const client = await other.read(`${path}?channel=a`, user, { 'last-event-id': '1-0' });
      await until(() => client.ended);
      expect([user, client.status, client.events]).toEqual([user, 200, []]);
      await until(() => other.sse.connections().length === 0);
    }
    const client = await other.read(`${path}?channel=a`, 'ann');
    await until(() => other.sse.connections().length === 1);
    expect(await one.sse.disconnect({ user: 'ann' })).toBe(0);
    await until(() => client.ended);
  });

  it.each(routes)(
    'ignores a decision that was requested before a disconnection from another node (/%s)',
    async (path) => {
      const [one, other] = await startNodes();
      let answer = () => {};
      const asked: string[] = [];
      other.answers.of = async (user, channel) => {
        asked.push(channel);
        if (channel === 'b') await new Promise<void>((resolve) => (answer = resolve));
        return { user };
      };
      const pending = other.read(`${path}?channel=a&channel=b`, 'ann');
      await until(() => asked.length === 2);
      await one.sse.disconnect({ user: 'ann' }, { refuseMs: 0 });
      answer();
      const client = await pending;
      await until(() => client.ended);
      expect(client.events).toEqual([]);
    },
  );

  describe.each([
    ['ahead of', -4],
    ['behind', 4],
  ])('whose clock is %s that of Redis', (_what, seconds) => {
    it.each(routes)('compares disconnections with the issue times of credentials (/%s)', async (path) => {
      const redis = await startRedis([], { ownClock: true });
      redis.setClock(seconds);
      const admin = redis.admin();
      await until(
        async () => Math.abs(Number((await admin.time())[0]) * 1_000 - Date.now() - seconds * 1_000) < 1_500,
      );
      admin.disconnect();
      const [one, other] = await startNodes({ redis: redis.url });
      const issuedAt = new Date(Date.now() - 1_000);
      for (const { answers } of [one, other]) answers.of = (user) => ({ user, issuedAt });
      const open = await one.read(`${path}?channel=a`, 'ann');
      await until(() => one.sse.connections().length === 1);
      expect(await one.sse.disconnect({ user: 'ann' })).toBe(1);
      await until(() => open.ended);
      for (const { read } of [one, other]) {
        const again = await read(`${path}?channel=a`, 'ann');
        await until(() => again.ended);
        expect(again.events).toEqual([]);
      }
      // Credentials are dated by the clock of the node that reads the disconnection.
      await sleep(50);
      const login = new Date();
      for (const { sse, answers, read } of [one, other]) {
        answers.of = (user) => ({ user, issuedAt: login });
        const fresh = await read(`${path}?channel=a`, 'ann');
        await until(() => sse.connections().length === 1);
        expect(fresh.ended).toBe(false);
      }
    });
  });

  it('refuses a client for refuseMs by its own clock', async () => {
    const redis = await startRedis([], { ownClock: true });
    redis.setClock(-4);
    const [one, other] = await startNodes({ redis: redis.url });
    await sleep(1_100);
    await one.sse.disconnect({ user: 'ann' }, { refuseMs: 3_000 });
    const client = await other.read('asked?channel=a', 'ann');
    await until(() => client.ended);
    expect(client.events).toEqual([]);
  });
});

describe('The target of disconnect()', () => {
  it.each([
    { user: NaN },
    { user: '' },
    { user: null },
    { user: Infinity, channel: 'a' },
    { session: '' },
    { session: 5 },
    { session: undefined, user: 'ann' },
    { connection: '' },
    { channel: 'a', users: ['ann'] },
    Object.create({ user: undefined, channel: 'a' }) as object,
    undefined,
    null,
  ])('is not %j', async (target) => {
    const { sse } = await startReaders(platforms[0][1]);
    await expect(sse.disconnect(target as object)).rejects.toMatchObject({ code: 'SSE_INPUT' });
  });
});

import { describe, expect, it } from '@jest/globals';
import { Controller, Param } from '@nestjs/common';
import {
  type SseConnection,
  type SseConnectionEnd,
  SseChannel,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import { platforms, startApp, terminate } from './support/app.js';
import { connect } from './support/client.js';
import { watchLog } from './support/log.js';
import { startReaders } from './support/readers.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { eventually, until } from './support/until.js';

const { failed } = watchLog();

@Controller()
class OrderController {
  @SseChannel('orders/:id/events')
  events(@Param('id') id: string) {
    return { channel: `order:${id}`, user: 7, filter: ({ data }: { data: unknown }) => check(data) };
  }
}

const check = (data: unknown) => {
  if (data === 'bad') throw new Error('A filter failed');
  return true;
};

describe.each(platforms)('A listener on %s', (_, platform) => {
  const watch = (sse: SseService) => {
    const connected: SseConnection[] = [];
    const ended: SseConnectionEnd[] = [];
    sse.onConnect((connection) => connected.push(connection));
    sse.onDisconnect((connection) => ended.push(connection));
    return { connected, ended };
  };
  const start = async (options: object = {}) => {
    const { app, url } = await startApp(
      platform,
      { imports: [SseModule.forRoot(options)], controllers: [OrderController] },
      (made) => made.setGlobalPrefix('api'),
    );
    const sse = app.get(SseService);
    const read = (id: number) => connect(`${url}/api/orders/${id}/events?token=secret`);
    return { app, sse, read, ...watch(sse) };
  };

  it.each([
    ['memory', () => ({})],
    ['Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
  ])('is notified of the opening and the end of a connection, over %s', async (_broker, optionsOf) => {
    const { sse, read, connected, ended } = await start(optionsOf());
    const client = await read(1);
    await until(() => connected.length === 1);
    const connection = {
      id: expect.any(String),
      channels: ['order:1'],
      user: '7',
      since: expect.any(Date),
      route: '/api/orders/:id/events',
      address: '127.0.0.1',
      expiresAt: undefined,
    };
    expect(connected).toEqual([connection]);
    expect(sse.connections()).toEqual(connected);
    expect(ended).toEqual([]);
    client.close();
    await until(() => ended.length === 1);
    expect(ended).toEqual([{ ...connected[0], reason: 'client' }]);
    expect(sse.connections()).toEqual([]);
  });

  it('gets the reason: disconnect(), age, a filter that throws, the shutdown of the application', async () => {
    const { app, sse, read, ended } = await start({ maxConnectionAgeMs: 1_000 });
    const reasons = () => ended.map(({ reason }) => reason);
    await read(1);
    await until(() => sse.connections().length === 1);
    await sse.disconnect({ channel: 'order:1' });
    await until(() => ended.length === 1);
    await read(2);
    await sse.publish('bad', { channel: 'order:2' });
    await until(() => ended.length === 2);
    await read(3);
    await until(() => ended.length === 3);
    expect(reasons()).toEqual(['disconnect', 'error', 'age']);
    const last = await read(4);
    await until(() => sse.connections().length === 1);
    await eventually('the end', app.close());
    expect(reasons().at(-1)).toBe('shutdown');
    await until(() => last.ended);
  });

  it('is notified of a client that does not read', async () => {
    const { sse, read, ended } = await start();
    const client = await read(1);
    client.response.pause();
    await until(async () => {
      await sse.publish('x'.repeat(200_000), { channel: 'order:1', transient: true });
      return ended.length > 0;
    });
    expect(ended).toMatchObject([{ reason: 'slow' }]);
  });

  it('is notified once of each connection that a signal closes', async () => {
    const { app, read, connected, ended } = await start({ drainMs: 50 });
    await Promise.all([1, 2, 3].map(read));
    await until(() => connected.length === 3);
    await eventually('the end', terminate(app));
    expect(ended.map(({ reason }) => reason)).toEqual(['shutdown', 'shutdown', 'shutdown']);
    expect(new Set(ended.map(({ id }) => id)).size).toBe(3);
  });

  it('is notified of @Sse, with the route of the guard, and when its credential expires', async () => {
    const { sse, answers, read } = await startReaders(platform);
    const { connected, ended } = watch(sse);
    const expiresAt = new Date(Date.now() + 1_000);
    answers.of = (user) => ({ user, expiresAt });
    await read('guarded?channel=a&channel=b', 'ann');
    await until(() => ended.length === 1);
    expect(connected).toMatchObject([
      { user: 'ann', channels: ['a', 'b'], route: '/guarded', address: '127.0.0.1', expiresAt },
    ]);
    expect(ended).toMatchObject([{ reason: 'expired', expiresAt }]);
  });

  it('is notified of messages() outside of a request, without a route', async () => {
    const { sse, connected, ended } = await start();
    const subscription = sse.messages('news', { user: 'ann' }).subscribe();
    expect(connected).toMatchObject([{ user: 'ann', channels: ['news'] }]);
    subscription.unsubscribe();
    expect(ended).toMatchObject([{ reason: 'client' }]);
    expect(connected[0]).not.toHaveProperty('route');
  });

  it('is not notified of a refused connection', async () => {
    const { sse, read, connected, ended } = await start();
    await sse.disconnect({ user: 7 });
    const client = await read(1);
    await until(() => client.ended);
    expect([connected, ended]).toEqual([[], []]);
  });

  it('that throws or rejects affects no connection, and is logged once', async () => {
    const { sse, read, connected, ended } = await start();
    sse.onConnect(() => {
      throw new Error('The store is gone');
    });
    sse.onDisconnect(() => Promise.reject(new Error('The store is gone')));
    const heard: string[] = [];
    sse.onConnect(({ id }) => heard.push(id));
    for (let n = 1; n <= 3; n++) {
      const client = await read(n);
      await sse.publish('hello', { channel: `order:${n}` });
      await until(() => client.text.includes('hello'));
      client.close();
      await until(() => ended.length === n);
    }
    expect(heard).toEqual(connected.map(({ id }) => id));
    expect(failed.mock.calls).toEqual([
      ['A listener of onConnect() failed: "The store is gone"'],
      ['A listener of onDisconnect() failed: "The store is gone"'],
    ]);
  });

  it('can be removed, may close connections, and must be a function', async () => {
    const { sse, read, ended } = await start();
    const heard: string[] = [];
    const remove = sse.onConnect(({ id }) => heard.push(id));
    remove();
    const stop = sse.onConnect(({ id }) => sse.disconnect({ connection: id }));
    const client = await read(1);
    await until(() => client.ended);
    stop();
    expect([heard, ended.map(({ reason }) => reason)]).toEqual([[], ['disconnect']]);
    for (const listener of [undefined, null, {}, 'presence']) {
      expect(() => sse.onConnect(listener as never)).toThrow('Expected `listener` to be a function');
      expect(() => sse.onDisconnect(listener as never)).toThrow('Expected `listener` to be a function');
    }
  });
});

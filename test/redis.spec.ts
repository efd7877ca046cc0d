import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type INestApplicationContext, Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { compareCursors } from '../src/event.js';
import { Proxy } from './support/proxy.js';
import { freePort } from './support/port.js';
import { type RedisServer, startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

/** What happens to a Redis, and what the module makes of it. Each test has a redis-server process of its own. */
describe('With Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  const contexts: INestApplicationContext[] = [];
  const proxies: Proxy[] = [];

  beforeEach(async () => {
    server = await startRedis();
    admin = server.admin();
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    for (const proxy of proxies.splice(0)) proxy.close();
    admin.disconnect();
  });

  const start = async (redis: SseModuleOptions['redis'] = server.url) => {
    const context = await NestFactory.createApplicationContext(SseModule.forRoot({ redis }), {
      logger: false,
    });
    contexts.push(context);
    return context.get(SseService);
  };
  const behindProxy = async () => {
    const proxy = await Proxy.start(server.port);
    proxies.push(proxy);
    return { proxy, sse: await start(proxy.url) };
  };
  const collect = (sse: SseService, channel: string | string[] = 'sse') => {
    const events: SseEvent[] = [];
    sse.messages(channel).subscribe((event) => events.push(event));
    return events;
  };
  /** Of a channel that is live: before its position has been read, a first event may still be before a stream's time. */
  const subscribers = async (channel: string, prefix = 'sse:') =>
    (await admin.exists(`${prefix}{${channel}}:meta`)) *
    Number((await admin.pubsub('NUMSUB', prefix + channel))[1]);
  const subscribed = (channel: string, expected: 0 | 1) =>
    until(
      () => subscribers(channel),
      (count) => count === expected,
    );
  const subscriberId = async () =>
    /^id=(\d+) .* name=sse:subscriber /m.exec((await admin.client('LIST')) as string)?.[1];
  const connections = async () => {
    const list = (await admin.client('LIST')) as string;
    return [...list.matchAll(/ name=(sse:\w+)/g)].map(([, name]) => name).toSorted();
  };
  /** Publishes until an event arrives, which is when the subscription is back. */
  const arrivesAgain = (sse: SseService, events: SseEvent[]) => {
    const since = events.length;
    const sent = new Set<unknown>();
    return until(async () => {
      const text = randomUUID();
      sent.add(text);
      await sse.publish(text).catch(() => undefined);
      return events.slice(since).some(({ data }) => sent.has(data));
    });
  };

  it('has two connections and one subscription for 10,000 subscribers of a channel', async () => {
    const sse = await start();
    let received = 0;
    for (let n = 0; n < 10_000; n++) sse.messages('busy').subscribe(() => received++);
    await subscribed('busy', 1);
    await sse.publish('all', { channel: 'busy' });
    await until(() => received === 10_000);
    expect(await subscribers('busy')).toBe(1);
    expect(await connections()).toEqual(['sse:commands', 'sse:subscriber']);
  });

  it('subscribes to 2,000 channels in a few commands', async () => {
    const sse = await start();
    for (let n = 0; n < 2_000; n++) sse.messages(`c${n}`).subscribe();
    await until(
      async () => (await admin.pubsub('CHANNELS')) as string[],
      // And two of the module's own.
      ({ length }) => length === 2_002,
    );
    const stats = await admin.info('commandstats');
    expect(Number(/cmdstat_subscribe:calls=(\d+)/.exec(stats)![1])).toBeLessThanOrEqual(5);
  });

  it('opens no connection to receive before something is subscribed', async () => {
    const sse = await start();
    await sse.publish('one');
    expect(await connections()).toEqual(['sse:commands']);
  });

  it('unsubscribes a while after the last subscriber has left, and not before', async () => {
    const sse = await start();
    const [one, two] = [sse.messages('a').subscribe(), sse.messages('a').subscribe()];
    await subscribed('a', 1);
    one.unsubscribe();
    two.unsubscribe();
    expect(await subscribers('a')).toBe(1);
    await until(
      () => subscribers('a'),
      (count) => count === 0,
    );
    expect(sse.stats()).toMatchObject({ channels: 0, streams: 0 });
  });

  it('leaves a connection of the user’s as it is: duplicated, not subscribed, not closed', async () => {
    const own = new Redis(server.url, { keyPrefix: 'app:' });
    const sse = await start(own);
    const events = collect(sse);
    await until(async () => (await subscribers('sse', 'app:sse:')) === 1);
    await sse.publish('hello');
    await until(() => events.length === 1);
    expect(own.mode).toBe('normal');
    expect((await admin.keys('*')).toSorted()).toEqual([
      'app:sse:{!disconnect}:meta',
      'app:sse:{sse}:history',
      'app:sse:{sse}:meta',
    ]);
    await contexts.pop()!.close();
    expect(own.status).toBe('ready');
    expect(await own.ping()).toBe('PONG');
    own.disconnect();
  });

  it('takes ioredis options', async () => {
    const sse = await start({ host: '127.0.0.1', port: server.port });
    const events = collect(sse);
    await subscribed('sse', 1);
    await sse.publish('hello');
    await until(() => events.length === 1);
  });

  it('resubscribes after Redis was killed, and tells of what may be missing exactly once', async () => {
    const sse = await start();
    const events = collect(sse);
    await arrivesAgain(sse, events);
    await server.kill();
    await server.start();
    await arrivesAgain(sse, events);
    const resets = events.filter(({ type }) => type === 'sse.reset');
    expect(resets).toEqual([expect.objectContaining({ data: { channel: 'sse', reason: 'lost' } })]);
  });

  it('goes on without a reset when the connections broke and nothing was missed', async () => {
    const sse = await start();
    const events = collect(sse);
    await subscribed('sse', 1);
    await sse.publish('before');
    await until(() => events.length === 1);
    const killed = await subscriberId();
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(async () => ![undefined, killed].includes(await subscriberId()));
    await subscribed('sse', 1);
    const id = await sse.publish('after');
    await until(() => events.some((event) => event.id === id));
    expect(events.filter(({ type }) => type === 'sse.reset')).toEqual([]);
  });

  it('delivers what was published while the subscription was interrupted, in order, before what follows', async () => {
    const { proxy, sse } = await behindProxy();
    const other = await start();
    const events = collect(sse);
    await subscribed('sse', 1);
    await sse.publish(0);
    await until(() => events.length === 1);
    proxy.refuse = true;
    proxy.cut();
    await subscribed('sse', 0);
    for (let n = 1; n <= 250; n++) void other.publish(n);
    await other.publish(251);
    proxy.refuse = false;
    await until(() => events.length >= 252);
    await other.publish(252);
    await until(() => events.length >= 253);
    expect(events.map(({ data }) => Number(data))).toEqual(Array.from({ length: 253 }, (_, n) => n));
  });

  it('is subscribed in the end when the connection breaks before SUBSCRIBE is acknowledged', async () => {
    const { proxy, sse } = await behindProxy();
    await sse.publish('connected');
    let cuts = 3;
    proxy.onUp = (chunk) => {
      if (!/\bsubscribe\b/i.test(chunk.toString()) || cuts-- <= 0) return;
      proxy.dropDown = true;
      setTimeout(() => {
        proxy.cut();
        proxy.dropDown = false;
      }, 50);
    };
    const events = collect(sse);
    await arrivesAgain(sse, events);
    expect(cuts).toBeLessThanOrEqual(0);
    expect(await subscribers('sse')).toBe(1);
  });

  it('comes back from an outage with 16 reads at a time, however many channels have missed something', async () => {
    const { proxy, sse } = await behindProxy();
    const [names, other] = [Array.from({ length: 100 }, (_, n) => `c${n}`), await start()];
    const events = names.map((name) => collect(sse, name));
    await until(async () => (await Promise.all(names.map((name) => subscribers(name)))).every(Boolean));
    proxy.refuse = true;
    proxy.cut();
    await until(() => !sse.stats().connected);
    await Promise.all(names.map((channel) => other.publish('missed', { channel })));
    let reads = 0;
    proxy.onUp = (chunk) => {
      reads += [...chunk.toString().matchAll(/evalsha/gi)].length;
      // No further one is sent before one of these is answered.
      proxy.holdDown ||= reads > 0;
    };
    proxy.refuse = false;
    // And one for the channel of disconnections.
    await until(() => reads >= 16 + 1);
    await sleep(100);
    expect(reads).toBe(16 + 1);
    proxy.onUp = () => undefined;
    proxy.holdDown = false;
    await until(() => events.every(({ length }) => length === 1));
    expect(sse.stats()).toMatchObject({ gaps: 100, resets: { lost: 0 } });
  });

  it('notices a hung Redis: publishing fails within 5 s, and both connections are made anew', async () => {
    const { proxy, sse } = await behindProxy();
    const events = collect(sse);
    await arrivesAgain(sse, events);
    const connected = proxy.sockets;
    server.signal('SIGSTOP');
    const rejected = expect(sse.publish('hung')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: true,
    });
    await within(5_000, 'the rejection', rejected);
    await until(() => connected.every(({ destroyed }) => destroyed));
    server.signal('SIGCONT');
    await until(() => sse.stats().connected);
    await arrivesAgain(sse, events);
  });

  it('notices a hung Redis although nothing is asked of it', async () => {
    const sse = await start();
    await sse.publish('connected');
    server.signal('SIGSTOP');
    await until(() => !sse.stats().connected);
    server.signal('SIGCONT');
    await until(() => sse.stats().connected);
  });

  it('fails within 5 s with a 503 that says nothing was sent, while Redis is out of reach', async () => {
    const sse = await start(`redis://127.0.0.1:${await freePort()}`);
    const rejected = expect(sse.publish('nowhere')).rejects.toMatchObject({
      name: 'SseError',
      code: 'SSE_UNAVAILABLE',
      status: 503,
      expose: false,
      mayBePublished: false,
    });
    await within(5_000, 'the rejection', rejected);
    expect(sse.stats().connected).toBe(false);
  });

  it('publishes in the order of the calls what was called while it was connecting', async () => {
    const port = await freePort();
    const sse = await start(`redis://127.0.0.1:${port}`);
    const proxy = Proxy.start(server.port, port);
    const ids = await Promise.all(Array.from({ length: 50 }, (_, n) => sse.publish(n)));
    proxies.push(await proxy);
    expect(ids).toEqual(ids.toSorted(compareCursors));
  });

  it('does not take another database where the one that was asked for does not exist', async () => {
    const sse = await start(server.url.replace(/0$/, '77'));
    await expect(sse.publish(1)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      message: expect.stringContaining('DB index is out of range'),
    });
    expect(await admin.keys('*')).toEqual([]);
  });

  it('reports what Redis refuses, as certainly not published', async () => {
    const sse = await start();
    await admin.set('sse:{sse}:meta', 'not a hash');
    await expect(sse.publish('refused')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
      message: expect.stringContaining('WRONGTYPE'),
    });
  });

  it('keeps the order of the calls over SCRIPT FLUSH', async () => {
    const sse = await start();
    const data = 'x'.repeat(50_000);
    for (let round = 0; round < 5; round++) {
      const ids: Promise<string>[] = [];
      await admin.script('FLUSH');
      for (let n = 0; n < 20; n++) {
        ids.push(sse.publish(data));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const published = await Promise.all(ids);
      expect(published).toEqual(published.toSorted(compareCursors));
    }
  });

  it('takes back what Redis would not send, so that a retry with the same key sends it', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all', 'resetchannels', '&sse:a');
    const sse = await start(server.url.replace('//', '//app:secret@'));
    const listener = collect(await start());
    await subscribed('sse', 1);
    const before = await admin.hget('sse:{sse}:meta', 'cursor');
    const options = { id: 'own', idempotencyKey: 'k' };
    await expect(sse.publish(1, options)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
    });
    expect(await admin.hget('sse:{sse}:meta', 'cursor')).toBe(before);
    expect(await admin.exists('sse:{sse}:ids')).toBe(0);
    await admin.acl('SETUSER', 'app', '&sse:sse');
    await sse.publish(2, options);
    await until(() => listener.length === 1);
    expect(listener).toMatchObject([{ data: 2 }]);
  });

  it('says once why channels do not come to life while Redis refuses their positions', async () => {
    const channels = ['sse', ...Array.from({ length: 20 }, (_, n) => `other${n}`)];
    for (const channel of channels) await admin.set(`sse:{${channel}}:meta`, 'not a hash');
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const sse = await start();
    const events = collect(sse);
    const others = channels.slice(1).map((channel) => sse.messages(channel).subscribe());
    await until(() => logged.mock.calls.length > 0);
    await until(
      async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1]) >= 60,
    );
    for (const other of others) other.unsubscribe();
    expect(logged.mock.calls).toEqual([[expect.stringMatching(/^Channel \w+ is not live, .*WRONGTYPE/)]]);
    logged.mockRestore();
    await admin.del('sse:{sse}:meta');
    await arrivesAgain(sse, events);
  });

  it('disconnects whom it is told to, although Redis has lost everything in between', async () => {
    const [sse, other] = [await start(), await start()];
    const ended: string[] = [];
    for (const user of ['ann', 'bob']) {
      sse.messages('sse', { user }).subscribe({ complete: () => ended.push(user) });
    }
    await until(async () => (await subscribers('!disconnect')) === 1);
    await server.killAndErase();
    await server.start();
    await until(() =>
      other.disconnect({ user: 'ann' }).then(
        () => true,
        () => false,
      ),
    );
    await until(() => ended.length > 0);
    expect(ended).toEqual(['ann']);
  });

  it('keeps to its own settings, whatever the query of the URL says', async () => {
    const sse = await start(`${server.url}?keyPrefix=app:&enableOfflineQueue=true`);
    const events = collect(sse);
    await until(async () => (await subscribers('sse', 'app:sse:')) === 1);
    await sse.publish(1);
    await until(() => events.length === 1);
    expect((await admin.keys('*')).toSorted()).toEqual([
      'app:sse:{!disconnect}:meta',
      'app:sse:{sse}:history',
      'app:sse:{sse}:meta',
    ]);
  });

  it('subscribes to what it may while Redis refuses one of the channels, and to that when it may', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all', 'resetchannels', '&sse:a', '&sse:b');
    const sse = await start(server.url.replace('//', '//app:secret@'));
    const [a, forbidden, b] = [collect(sse, 'a'), collect(sse, 'no'), collect(sse, 'b')];
    await until(async () => (await subscribers('a')) + (await subscribers('b')) === 2);
    await sse.publish(1, { channel: 'a' });
    await sse.publish(2, { channel: 'b' });
    await until(() => a.length === 1 && b.length === 1);
    await admin.acl('SETUSER', 'app', '&sse:no');
    await subscribed('no', 1);
    await sse.publish(3, { channel: 'no' });
    await until(() => forbidden.length === 1);
  });

  it('says so while it may not read disconnections, and opens connections when it may', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~sse:{sse}:*', '+@all', 'allchannels');
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const sse = await start(server.url.replace('//', '//app:secret@'));
    const events = collect(sse);
    await until(() => logged.mock.calls.some(([line]) => /disconnections cannot be read/.test(String(line))));
    await admin.acl('SETUSER', 'app', '~sse:{!disconnect}:*');
    await arrivesAgain(sse, events);
    const lines = logged.mock.calls.filter(([line]) => /disconnections cannot be read/.test(String(line)));
    expect(lines).toHaveLength(1);
    logged.mockRestore();
  });

  it('keeps positions for a day, events and publishers’ ids for as long as is set, and idempotency keys for ten minutes', async () => {
    const sse = await start();
    await sse.publish(1, { channel: 'a', id: 'own', idempotencyKey: 'k' });
    expect(await admin.ttl('sse:{a}:meta')).toBeGreaterThan(86_390);
    expect(await admin.ttl('sse:{a}:history')).toBeGreaterThan(590);
    expect(await admin.ttl('sse:{a}:ids')).toBeGreaterThan(590);
    expect(await admin.ttl('sse:{a}:idempotency:k')).toBeGreaterThan(590);
    expect((await admin.keys('*')).toSorted()).toEqual(
      ['history', 'idempotency:k', 'ids', 'meta'].map((name) => `sse:{a}:${name}`),
    );
  });
});

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { compareCursors } from '../src/event/event.js';
import { moduleOnRedis } from './support/module-on-redis.js';
import { freePort } from './support/port.js';
import { until, within } from './support/until.js';

/** Redis dies, hangs or is unreachable, or its connections break. */
describe('With Redis during an outage', () => {
  const { redis, start, startProxy, behindProxy, collect, subscribers, subscribed, arrivesAgain } =
    moduleOnRedis();
  const subscriberId = async () =>
    /^id=(\d+) .* name=sse:subscriber /m.exec((await redis.admin.client('LIST')) as string)?.[1];
  const connectionIds = async () =>
    Array.from(
      ((await redis.admin.client('LIST')) as string).matchAll(/^id=(\d+) .* name=sse:/gm),
      ([, id]) => id,
    );

  it('resubscribes after Redis was killed, and sends exactly one reset', async () => {
    const sse = await start();
    const events = collect(sse);
    await arrivesAgain(sse, events);
    await redis.server.kill();
    await redis.server.start();
    await arrivesAgain(sse, events);
    const resets = events.filter(({ type }) => type === 'sse.reset');
    expect(resets).toEqual([expect.objectContaining({ data: { channel: 'sse', reason: 'lost' } })]);
  });

  it('sends no reset after the connections broke if no event was missed', async () => {
    const sse = await start();
    const events = collect(sse);
    await subscribed('sse', 1);
    await sse.publish('before');
    await until(() => events.length === 1);
    const killed = await subscriberId();
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(async () => ![undefined, killed].includes(await subscriberId()));
    await subscribed('sse', 1);
    const id = await sse.publish('after');
    await until(() => events.some((event) => event.id === id));
    expect(events.filter(({ type }) => type === 'sse.reset')).toEqual([]);
  });

  it('delivers events published while the subscription was interrupted, in order and before later events', async () => {
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

  it('resubscribes when the connection breaks before Redis acknowledges SUBSCRIBE', async () => {
    const { proxy, sse } = await behindProxy();
    await sse.publish('connected');
    let failures = 3;
    proxy.onUp = (chunk) => {
      if (!/\bsubscribe\b/i.test(chunk.toString()) || failures-- <= 0) return;
      proxy.dropDown = true;
      setTimeout(() => {
        proxy.cut();
        proxy.dropDown = false;
      }, 50);
    };
    const events = collect(sse);
    await arrivesAgain(sse, events);
    expect(failures).toBeLessThanOrEqual(0);
    expect(await subscribers('sse')).toBe(1);
  });

  it('recovers from an outage with 16 reads at a time, for any number of channels with missed events', async () => {
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
      // The module sends no further read before Redis replies to one of these.
      proxy.holdDown ||= reads > 0;
    };
    proxy.refuse = false;
    // One further read is for the channel of disconnections.
    await until(() => reads >= 16 + 1);
    await sleep(100);
    expect(reads).toBe(16 + 1);
    proxy.onUp = () => undefined;
    proxy.holdDown = false;
    await until(() => events.every(({ length }) => length === 1));
    expect(sse.stats()).toMatchObject({ gaps: 100, resets: { lost: 0 } });
  });

  it('notices a hung Redis: publish() fails within 5 s, and the module reopens both connections', async () => {
    const { proxy, sse } = await behindProxy();
    const events = collect(sse);
    await arrivesAgain(sse, events);
    const connected = proxy.sockets;
    redis.server.signal('SIGSTOP');
    const rejected = expect(sse.publish('hung')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: true,
    });
    await within(5_000, 'the rejection', rejected);
    await until(() => connected.every(({ destroyed }) => destroyed));
    redis.server.signal('SIGCONT');
    await until(() => sse.stats().connected);
    await arrivesAgain(sse, events);
  });

  it('detects a hung Redis although no command is pending', async () => {
    const sse = await start();
    await sse.publish('connected');
    redis.server.signal('SIGSTOP');
    await until(() => !sse.stats().connected);
    redis.server.signal('SIGCONT');
    await until(() => sse.stats().connected);
  });

  it('keeps its connections and takes the replies if the process was blocked for longer than Redis may be silent', async () => {
    const sse = await start(`${redis.server.url}?socketTimeout=1000`);
    const events = collect(sse);
    await arrivesAgain(sse, events);
    const before = await connectionIds();
    expect(before).toHaveLength(2);
    const others = ['b', 'c'].map((channel) => collect(sse, channel));
    // Of a transient event that is not confirmed, nobody knows whether it was published.
    const ids = Array.from({ length: 1_000 }, (_, n) => sse.publish(n, { transient: n % 2 === 0 }));
    await turn();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_000);
    await Promise.all(ids);
    await until(() => sse.stats().channels === 3);
    for (const channel of ['b', 'c']) {
      await subscribed(channel, 1);
      await sse.publish('last', { channel });
    }
    await until(() => others.every(({ length }) => length === 1));
    expect(await connectionIds()).toEqual(before);
  });

  it('keeps its connections to a slow Redis, of which a reply is always due', async () => {
    const { proxy, sse } = await behindProxy();
    const events = collect(sse);
    await arrivesAgain(sse, events);
    const before = await connectionIds();
    proxy.latencyMs = 500;
    const ids: Promise<string>[] = [];
    for (let n = 0; n < 40; n++) {
      ids.push(sse.publish(n));
      await sleep(100);
    }
    proxy.latencyMs = 0;
    await Promise.all(ids);
    expect(await connectionIds()).toEqual(before);
  });

  it('rejects a publication within 5 s with a 503, as not sent, while Redis is unreachable', async () => {
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

  it('keeps the order of publish() calls that were made while it was connecting', async () => {
    const port = await freePort();
    const sse = await start(`redis://127.0.0.1:${port}`);
    const proxy = startProxy(port);
    const ids = await Promise.all(Array.from({ length: 50 }, (_, n) => sse.publish(n)));
    await proxy;
    expect(ids).toEqual(ids.toSorted(compareCursors));
  });

  it('disconnects the given user only, although Redis has lost all data in between', async () => {
    const [sse, other] = [await start(), await start()];
    const ended: string[] = [];
    for (const user of ['ann', 'bob']) {
      sse.messages('sse', { user }).subscribe({ complete: () => ended.push(user) });
    }
    await until(async () => (await subscribers('!disconnect')) === 1);
    await redis.server.killAndErase();
    await redis.server.start();
    await until(() =>
      other.disconnect({ user: 'ann' }).then(
        () => true,
        () => false,
      ),
    );
    await until(() => ended.length > 0);
    expect(ended).toEqual(['ann']);
  });
});

import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Redis, RedisOptions } from 'ioredis';
import { RedisConnection } from '../src/broker/redis/connection.js';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { watchLog } from './support/log.js';
import { Proxy } from './support/proxy.js';
import { type RedisServer, startRedis } from './support/redis.js';
import { until } from './support/until.js';

/** How subscriptions behave when connections break or Redis misbehaves. */
describe('Subscribing to Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  let proxy: Proxy;
  let broker: RedisSseBroker;
  const { failed, warned, logged } = watchLog();

  beforeEach(async () => {
    server = await startRedis();
    admin = server.admin();
    proxy = await Proxy.start(server.port);
    broker = new RedisSseBroker(proxy.url, '');
  });
  afterEach(async () => {
    await broker.close();
    proxy.close();
    admin.disconnect();
  });

  const subscribe = (channel: string, onMessage: (text: string) => void = () => undefined) => {
    const calls: string[] = [];
    broker.subscribe(channel, {
      onSubscribed: () => calls.push('subscribed'),
      onInterrupted: () => calls.push('interrupted'),
      onMessage: (text) => {
        calls.push(text);
        onMessage(text);
      },
    });
    return calls;
  };
  const subscribers = async (channel: string) => Number((await admin.pubsub('NUMSUB', channel))[1]);

  it('notifies a channel of an interruption and its end, and does not resubscribe a channel that is no longer needed', async () => {
    const [stays, leaves] = [subscribe('a'), subscribe('b')];
    await until(() => stays.length + leaves.length === 2);
    proxy.refuse = true;
    proxy.cut();
    await until(() => leaves.length === 2);
    broker.unsubscribe('b');
    proxy.refuse = false;
    await until(() => stays.length === 3);
    expect(stays).toEqual(['subscribed', 'interrupted', 'subscribed']);
    expect(await subscribers('b')).toBe(0);
  });

  /** Connects by JavaScript streams, as from a tunnel or a proxy library: unlike a socket, they close before their last data is processed. */
  const reconnectByStreams = async (onData: (chunk: Buffer, stream: Duplex) => void = () => undefined) => {
    class Connector {
      #stream: Duplex | undefined;
      check = () => true;
      disconnect = () => this.#stream?.end();
      async connect(): Promise<Duplex> {
        const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
        const stream = new Duplex({
          read: () => undefined,
          write: (chunk: Buffer, _, done) => socket.write(chunk, done),
          destroy: (error, done) => {
            socket.destroy();
            done(error);
          },
        });
        socket.on('close', () => stream.destroy());
        socket.on('data', (chunk) => {
          stream.push(chunk);
          onData(chunk, stream);
        });
        this.#stream = stream;
        const nothing = () => stream;
        return Object.assign(stream, { setNoDelay: nothing, setKeepAlive: nothing, setTimeout: nothing });
      }
    }
    await broker.close();
    broker = new RedisSseBroker({ Connector } as unknown as RedisOptions, '');
  };

  it('resubscribes if a JavaScript stream closes right after the reply', async () => {
    let breaks = true;
    await reconnectByStreams((chunk, stream) => {
      if (!breaks || !chunk.includes('subscribe\r\n')) return;
      breaks = false;
      stream.destroy();
    });
    const calls = subscribe('a');
    await until(() => !breaks && calls.at(-1) === 'subscribed');
    expect(calls).toEqual(['interrupted', 'subscribed']);
    expect(await subscribers('a')).toBe(1);
  });

  it('notices a hung Redis behind a JavaScript stream', async () => {
    await reconnectByStreams();
    const calls = subscribe('a');
    await until(() => calls.at(-1) === 'subscribed');
    server.signal('SIGSTOP');
    await until(() => calls.at(-1) === 'interrupted');
    server.signal('SIGCONT');
    await until(() => calls.at(-1) === 'subscribed');
  });

  it('does not treat a connection that breaks before the reply as a refusal', async () => {
    proxy.cutSubscribe = true;
    const calls = subscribe('a');
    await until(() => calls.includes('interrupted'));
    proxy.cutSubscribe = false;
    await until(() => calls.includes('subscribed'));
    expect(failed).not.toHaveBeenCalled();
  });

  it('unsubscribes a channel that is no longer needed when its subscription is confirmed', async () => {
    proxy.holdSubscriber = true;
    subscribe('a');
    await until(async () => (await subscribers('a')) === 1);
    broker.unsubscribe('a');
    proxy.holdSubscriber = false;
    await until(async () => (await subscribers('a')) === 0);
  });

  it('reports once that Redis refuses a channel, for any number of refusals', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all', 'resetchannels', '&!probe:*');
    await broker.close();
    broker = new RedisSseBroker(server.url.replace('//', '//app:secret@'), '');
    subscribe('no');
    const refusals = async () =>
      Number(/cmdstat_subscribe:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1]);
    await until(async () => (await refusals()) >= 3);
    expect(failed.mock.calls).toEqual([[expect.stringContaining('refuses the subscription to no')]]);
  });

  it('subscribes to a channel at once although Redis refuses thousands of others', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all', 'resetchannels', '&!probe:*', '&yes');
    await broker.close();
    proxy.latencyMs = 1;
    broker = new RedisSseBroker(proxy.url.replace('//', '//app:secret@'), '');
    const refusals = async () =>
      Number(/cmdstat_subscribe:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
    for (let n = 0; n < 5_000; n++) subscribe(`no${n}`);
    await until(async () => (await refusals()) >= 5_000);
    const before = await refusals();
    const calls = subscribe('yes');
    await until(() => calls.length === 1);
    // No more than were in flight, and are retried.
    expect((await refusals()) - before).toBeLessThan(2_000);
  });

  it('continues if a listener fails', async () => {
    const failing = subscribe('a', () => {
      throw new Error('this listener fails');
    });
    const other = subscribe('b');
    await until(() => failing.length + other.length === 2);
    for (const channel of ['a', 'b', 'a']) await admin.publish(channel, 'x');
    await until(() => failing.length === 3 && other.length === 2);
    expect(failed).toHaveBeenCalledTimes(2);
  });

  it('reports an outage once, and its end when both connections are back', async () => {
    const states: boolean[] = [];
    logged.mockImplementation(() => states.push(broker.connected));
    const calls = subscribe('a');
    await until(() => calls.length === 1);
    proxy.cut();
    await until(() => broker.connected && calls.length === 3);
    expect(warned.mock.calls).toEqual([[expect.stringContaining('Redis is unreachable')]]);
    expect(states).toEqual([true]);
  });

  it('detects that it is subscribed on another server than its publications, logs it, and reconnects until both are on one server', async () => {
    const elsewhere = await startRedis();
    await broker.close();
    broker = new RedisSseBroker(proxy.url, '', undefined, 200);
    await until(() => broker.connected);
    proxy.target = elsewhere.port;
    const calls = subscribe('a');
    // A healthy process receives nothing on the channel.
    await until(() => calls.length === 1);
    expect(broker.state).toBe('up');
    await until(() => broker.state === 'deaf');
    expect(broker.connected).toBe(false);
    expect(await subscribers('a')).toBe(0);
    proxy.target = server.port;
    await until(() => broker.connected);
    expect(await subscribers('a')).toBe(1);
    await broker.publish('a', { data: '"here"', transient: true });
    await until(() => calls.at(-1)!.includes('here'));
    expect(warned.mock.calls).toEqual([
      ['Published events do not arrive: the subscriber connection reconnects'],
    ]);
    expect(logged.mock.calls).toEqual([[expect.stringMatching(/^Redis is back, after \d+\.\d s$/)]]);
  });

  it('detects that it publishes on another server than its subscriptions', async () => {
    const elsewhere = await startRedis();
    await broker.close();
    proxy.target = elsewhere.port;
    broker = new RedisSseBroker(proxy.url, '', undefined, 100);
    await until(() => broker.connected);
    proxy.target = server.port;
    const calls = subscribe('a');
    await until(() => broker.state === 'deaf');
    await until(() => broker.connected);
    await admin.publish('a', 'here');
    await until(() => calls.at(-1) === 'here');
    const other = elsewhere.admin();
    expect(String(await other.client('LIST'))).not.toContain('name=sse:');
    other.disconnect();
  });

  it('sends no probes after it is closed', async () => {
    await broker.close();
    broker = new RedisSseBroker(proxy.url, '', undefined, 50);
    const calls = subscribe('a');
    await until(() => calls.length === 1);
    const run = jest.spyOn(RedisConnection.prototype, 'run');
    await until(() => run.mock.calls.length > 2);
    await broker.close();
    const { length } = run.mock.calls;
    await sleep(300);
    expect(run.mock.calls).toHaveLength(length);
    run.mockRestore();
  });

  it('costs a silent process only an occasional PUBLISH to its own channel', async () => {
    await broker.close();
    broker = new RedisSseBroker(proxy.url, '', undefined, 100);
    const calls = subscribe('a');
    await until(() => calls.length === 1);
    const count = async (command: string) =>
      Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await admin.info('commandstats'))?.[1] ?? 0);
    await until(async () => (await count('publish')) >= 5);
    expect([await count('evalsha'), await count('eval'), calls.length]).toEqual([0, 0, 1]);
    expect((await admin.pubsub('CHANNELS')) as string[]).toHaveLength(2);
  });
});

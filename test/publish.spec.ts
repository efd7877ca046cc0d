import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { RedisSseBroker } from '../src/broker/redis.broker.js';
import type { RedisConnection } from '../src/broker/redis.connection.js';
import { RedisScript } from '../src/broker/redis.script.js';
import { PUBLISH } from '../src/broker/scripts.js';
import { checkPublication, compareCursors, type PublishOptions } from '../src/event.js';
import { HISTORY_DEFAULTS } from '../src/sse.options.js';
import { connect as connectSocket } from 'node:net';
import { Cli } from './support/cli.js';
import { Proxy } from './support/proxy.js';
import { freePort } from './support/port.js';
import { randomPrefix, type RedisServer, redisUrl, startRedis } from './support/redis.js';
import { until, within } from './support/until.js';

/** What becomes of publications when something goes wrong between the process and a Redis, or in it. */
describe('Publishing to Redis', () => {
  // Outages and failures are reported.
  beforeAll(() => Logger.overrideLogger(false));

  let server: RedisServer;
  let admin: Redis;
  let proxy: Proxy;
  const brokers: RedisSseBroker[] = [];

  beforeEach(async () => {
    server = await startRedis();
    admin = server.admin();
    proxy = await Proxy.start(server.port);
  });
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    proxy.close();
    admin.disconnect();
  });

  const start = async (url = proxy.url, maxEvents = 10_000) => {
    const broker = new RedisSseBroker(url, 'sse:', { ...HISTORY_DEFAULTS, maxEvents, explicit: true });
    brokers.push(broker);
    await until(() => broker.connected);
    return broker;
  };
  const publish = (broker: RedisSseBroker, data: unknown, options: PublishOptions = {}) =>
    broker.publish(options.channel ?? 'a', checkPublication(data, options, 100_000));
  const publishAll = (broker: RedisSseBroker, from: number, to: number, channel = 'a') =>
    Promise.all(Array.from({ length: to - from }, (_, n) => publish(broker, from + n, { channel })));
  const entries = async (channel = 'a') =>
    (await admin.xrange(`sse:{${channel}}:history`, '-', '+')).map(([id]) => id);
  const stored = async (channel = 'a') =>
    (await admin.xrange(`sse:{${channel}}:history`, '-', '+')).map(
      ([, [, value]]) => (JSON.parse(value!.slice(value!.indexOf('{'))) as { data: unknown }).data,
    );
  /** A busy machine may not have stored thousands of events after a second. The rest is then sent again. */
  const secondLater = () => {
    const begun = performance.now();
    return () => performance.now() - begun > 1_000;
  };
  const numbers = (to: number) => Array.from({ length: to }, (_, n) => n);
  /** Cuts all connections when the next reply to a script call was lost. */
  const loseReplies = (times = 1) => {
    proxy.onUp = (chunk) => {
      if (times <= 0 || !/\beval(sha)?\b/i.test(chunk.toString('latin1'))) return;
      times--;
      proxy.dropDown = true;
      setTimeout(() => {
        proxy.cut();
        proxy.dropDown = false;
      }, 50);
    };
  };

  it('stores an event once when the reply is lost, and returns its id', async () => {
    const broker = await start();
    await publish(broker, 0);
    loseReplies();
    const id = await publish(broker, 1);
    expect(await entries()).toEqual([expect.any(String), id]);
  });

  it('stores each event once, in the order of the calls, when replies are lost again and again', async () => {
    const broker = await start();
    loseReplies(4);
    const calls: Promise<string>[] = [];
    for (let n = 0; n < 600; n++) {
      calls.push(publish(broker, n), publish(broker, n, { channel: 'b', id: `own${n}` }));
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const ids = await Promise.all(calls);
    expect(await stored()).toEqual(numbers(600));
    expect(await stored('b')).toEqual(numbers(600));
    expect(await entries()).toEqual(ids.filter((_, n) => n % 2 === 0));
    expect(ids.filter((_, n) => n % 2 === 1)).toEqual(numbers(600).map((n) => `own${n}`));
  });

  it('stores each event once when Redis hangs for a while', async () => {
    const broker = await start();
    await publish(broker, 0);
    server.signal('SIGSTOP');
    const ids = publishAll(broker, 1, 100);
    setTimeout(() => server.signal('SIGCONT'), 3_300);
    expect((await ids).toSorted(compareCursors)).toEqual((await entries()).slice(1));
    expect(await stored()).toEqual(numbers(100));
  });

  it('finds out what became of thousands whose replies were lost, and sends none of them twice', async () => {
    const broker = await start();
    await publish(broker, 'first');
    proxy.dropDown = true;
    const calls = numbers(2_500).map((n) => publish(broker, n));
    const isTime = secondLater();
    await until(async () => (await admin.xlen('sse:{a}:history')) === 2_501 || isTime());
    proxy.cut();
    proxy.dropDown = false;
    const outcomes = await Promise.allSettled(calls);
    const ids = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    // On a busy machine the broker gives some up after 4.5 s.
    expect(ids.length).toBeGreaterThan(0);
    const known = new Set(ids);
    expect(ids).toEqual((await entries()).filter((id) => known.has(id)));
    const data = new Set((await stored()).slice(1));
    expect((await stored()).slice(1)).toEqual(numbers(2_500).filter((n) => data.has(n)));
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') expect(outcome.reason.mayBePublished || !data.has(n)).toBe(true);
    }
  });

  it('finds an event among thousands that others have published since', async () => {
    const [broker, other] = [await start(), await start(server.url)];
    await publish(broker, 'first');
    proxy.dropDown = true;
    const id = publish(broker, 'lost');
    await until(async () => (await stored()).includes('lost'));
    await publishAll(other, 0, 2_500);
    proxy.cut();
    proxy.dropDown = false;
    expect(await id).toBe((await entries())[1]);
    expect((await stored()).filter((data) => data === 'lost')).toHaveLength(1);
  });

  it.each([999, 1_000, 1_001])('is sure that an event is not among %s others', async (count) => {
    const [broker, other] = [await start(), await start(server.url)];
    proxy.dropUp = true;
    const id = publish(broker, 'lost');
    await publishAll(other, 0, count);
    proxy.cut();
    proxy.dropUp = false;
    expect(await id).toBe((await entries()).at(-1));
  });

  it('stores nothing of an attempt that arrives after it was repeated', async () => {
    const broker = await start();
    await publish(broker, 0);
    // A network that keeps what was sent, and delivers it when the connection it was sent on is long gone.
    const late: Buffer[] = [];
    proxy.dropUp = true;
    proxy.onUp = (chunk) => proxy.dropUp && late.push(chunk);
    const calls = [publish(broker, 1), publish(broker, 2, { id: 'own' })];
    await until(() => Buffer.concat(late).includes('"own"'));
    proxy.dropUp = false;
    proxy.cut();
    await Promise.all(calls);
    const socket = connectSocket(server.port, '127.0.0.1');
    let answers = '';
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString()));
    socket.write(Buffer.concat(late));
    await until(() => answers.match(/REPEATED/g)?.length === 2);
    socket.destroy();
    expect(await stored()).toEqual([0, 1, 2]);
  });

  it('publishes to other channels while it looks in thousands', async () => {
    const broker = await start();
    await publish(broker, 0);
    proxy.dropDown = true;
    const channels = Array.from({ length: 2_000 }, (_, n) => `many${n}`);
    const calls = channels.map((channel) => publish(broker, 1, { channel }));
    const isTime = secondLater();
    await until(async () => (await admin.dbsize()) >= 4_000 || isTime());
    proxy.cut();
    proxy.dropDown = false;
    const elsewhere = publish(broker, 2, { channel: 'elsewhere' });
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const [n, outcome] of outcomes.entries()) {
      const ids = await entries(`many${n}`);
      if (outcome.status === 'fulfilled') expect(ids).toEqual([outcome.value]);
      else expect(ids.length).toBeLessThanOrEqual(outcome.reason.mayBePublished ? 1 : 0);
    }
    expect(await entries('elsewhere')).toEqual([await elsewhere]);
  });

  it('publishes behind what it took back, also where the chain is ahead of the clock', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const [refused, broker] = [
      await start(server.url.replace('//', '//app:secret@')),
      await start(server.url),
    ];
    await publish(broker, 0);
    const ahead = `${Date.now() + 3_600_000}-5`;
    await admin.hset('sse:{a}:meta', 'cursor', ahead);
    await admin.del('sse:{a}:history');
    await expect(publish(refused, 1)).rejects.toMatchObject({ mayBePublished: false });
    const id = await publish(broker, 2);
    expect(id.split('-')[0]).toBe(ahead.split('-')[0]);
    expect(compareCursors(id, ahead)).toBeGreaterThan(0);
    expect(await stored()).toEqual([2]);
  });

  it('stores an event before the later ones of its channel, although Redis has refused only the first', async () => {
    const [broker, other] = [await start(), await start(server.url)];
    await publish(broker, 0);
    await admin.script('FLUSH');
    proxy.holdDown = true;
    const refused = publish(broker, 'refused');
    await until(async () => (await admin.info('errorstats')).includes('NOSCRIPT'));
    await publish(other, 'loads the script');
    const [later, elsewhere] = [publish(broker, 'later'), publish(broker, 'elsewhere', { channel: 'b' })];
    await until(async () => (await admin.info('errorstats')).includes('UNORDERED'));
    proxy.holdDown = false;
    await Promise.all([refused, later, elsewhere]);
    expect(await stored()).toEqual([0, 'loads the script', 'refused', 'later']);
  });

  it('stores nothing that it has given up behind a later event', async () => {
    const broker = await start();
    await publish(broker, 0);
    const late: Buffer[] = [];
    proxy.dropUp = true;
    proxy.onUp = (chunk) => proxy.dropUp && late.push(chunk);
    const rejected = expect(publish(broker, 'late')).rejects.toMatchObject({ mayBePublished: true });
    await within(5_000, 'the rejection', rejected);
    proxy.dropUp = false;
    proxy.cut();
    await until(() => broker.connected);
    await publish(broker, 'later');
    const socket = connectSocket(server.port, '127.0.0.1');
    let answers = '';
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString()));
    socket.write(Buffer.concat(late));
    await until(() => answers.includes('REPEATED'));
    socket.destroy();
    expect(await stored()).toEqual([0, 'later']);
  });

  it.each([
    ['forward', 'were stored', 3_600],
    ['forward', 'have not arrived', 3_600],
    ['back', 'were stored', -3_600],
    ['back', 'have not arrived', -3_600],
  ])(
    'stores each event once and in order when the clock of Redis steps %s while events %s',
    async (_way, fate, step) => {
      const redis = await startRedis([], { ownClock: true });
      const between = await Proxy.start(redis.port);
      const broker = new RedisSseBroker(between.url, 'sse:', {
        ...HISTORY_DEFAULTS,
        maxAgeMs: 86_400_000,
        explicit: true,
      });
      brokers.push(broker);
      await until(() => broker.connected);
      const own = redis.admin();
      const data = async () =>
        (await own.xrange('sse:{a}:history', '-', '+')).map(
          ([, [, value]]) => (JSON.parse(value!.slice(value!.indexOf('{'))) as { data: unknown }).data,
        );
      const before = await own.time();
      await publish(broker, 0);
      const dropped = fate === 'were stored' ? 'dropDown' : 'dropUp';
      between[dropped] = true;
      const calls = publishAll(broker, 1, 200);
      if (fate === 'were stored') await until(async () => (await data()).length === 200);
      redis.setClock(step);
      await until(async () => Math.abs(Number((await own.time())[0]) - Number(before[0])) > 3_000);
      between.cut();
      between[dropped] = false;
      const ids = await calls;
      expect(await data()).toEqual(numbers(200));
      expect(ids).toEqual((await own.xrange('sse:{a}:history', '-', '+')).map(([id]) => id).slice(1));
      own.disconnect();
      between.close();
    },
  );

  it('stores each event once and in order if the publishing process is suspended while replies are missing', async () => {
    const cli = new Cli('sse publish --ndjson --channel a', { SSE_REDIS_URL: proxy.url });
    cli.process.stdin!.write('0\n');
    await until(() => cli.lines.length === 1);
    proxy.dropDown = true;
    const lines = numbers(201).slice(1);
    cli.process.stdin!.end(lines.map((n) => `${n}\n`).join(''));
    await until(async () => (await entries()).length === 201);
    cli.process.kill('SIGSTOP');
    // Longer than a publication may take.
    await sleep(5_500);
    proxy.cut();
    proxy.dropDown = false;
    cli.process.kill('SIGCONT');
    await cli.end();
    const broker = await start();
    await publish(broker, 'last');
    expect(await stored()).toEqual([...numbers(201), 'last']);
    const ids = await entries();
    expect(ids.slice(0, cli.lines.length)).toEqual(cli.lines);
  });

  it('publishes nothing, and keeps no key, where it may not send what it does not store', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const broker = new RedisSseBroker(server.url.replace('//', '//app:secret@'), 'sse:', false);
    brokers.push(broker);
    const options = { idempotencyKey: 'k', id: 'own' };
    await expect(publish(broker, 1, options)).rejects.toMatchObject({ mayBePublished: false });
    expect(await admin.keys('*')).toEqual([]);
    await admin.acl('SETUSER', 'app', 'allchannels');
    expect(await publish(broker, 1, options)).toBe('own');
  });

  it('does not publish later what it has given up', async () => {
    const broker = await start();
    await publish(broker, 0);
    proxy.dropUp = true;
    const rejected = expect(publish(broker, 1)).rejects.toMatchObject({ mayBePublished: true });
    await within(5_000, 'the rejection', rejected);
    proxy.dropUp = false;
    proxy.cut();
    await until(() => broker.connected);
    await publish(broker, 2);
    expect(await stored()).toEqual([0, 2]);
  });

  it('takes back what a user may not do to the end, so that nobody gets it', async () => {
    await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-pexpire');
    const broker = await start(server.url.replace('//', '//app:secret@'));
    const listener = {
      texts: [] as string[],
      isSubscribed: false,
      onSubscribed: () => void (listener.isSubscribed = true),
      onInterrupted: () => undefined,
      onMessage: (text: string) => listener.texts.push(text),
    };
    broker.subscribe('a', listener);
    await until(() => listener.isSubscribed);
    const options = { id: 'own', idempotencyKey: 'k' };
    await expect(publish(broker, 1, options)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
    });
    expect([
      await entries(),
      await admin.exists('sse:{a}:idempotency:k'),
      await admin.hlen('sse:{a}:ids'),
    ]).toEqual([[], 0, 0]);
    await admin.acl('SETUSER', 'app', '+pexpire');
    await publish(broker, 2, options);
    await until(() => listener.texts.length > 0);
    expect(listener.texts).toEqual([expect.stringContaining('"data":2')]);
    expect(await stored()).toEqual([2]);
  });

  it('says that an event may be published when the history has expired since', async () => {
    const broker = new RedisSseBroker(proxy.url, 'sse:', {
      ...HISTORY_DEFAULTS,
      maxAgeMs: 1_000,
      explicit: true,
    });
    brokers.push(broker);
    await publish(broker, 0);
    proxy.dropDown = true;
    const rejected = expect(publish(broker, 1)).rejects.toMatchObject({ mayBePublished: true });
    await until(async () => (await entries()).length === 2);
    proxy.refuse = true;
    proxy.cut();
    proxy.dropDown = false;
    await until(async () => (await admin.exists('sse:{a}:history')) === 0);
    proxy.refuse = false;
    await rejected;
  });

  it.each([
    [
      'a script runs for too long',
      async () => {
        await admin.config('SET', 'lua-time-limit', '50');
        const other = server.admin();
        void other.eval('while true do end', 0).catch(() => undefined);
        await until(() =>
          admin.ping().then(
            () => false,
            ({ message }: Error) => message.startsWith('BUSY'),
          ),
        );
        return () => admin.script('KILL').finally(() => other.disconnect());
      },
    ],
    [
      'it has no memory for a while',
      async () => {
        await admin.config('SET', 'maxmemory', '1mb');
        return () => admin.config('SET', 'maxmemory', '0');
      },
    ],
    [
      'it lacks replicas for a while',
      async () => {
        await admin.config('SET', 'min-replicas-to-write', '1');
        return () => admin.config('SET', 'min-replicas-to-write', '0');
      },
    ],
    [
      'it is a replica for a while',
      async () => {
        await admin.replicaof('127.0.0.1', await freePort());
        return () => admin.replicaof('NO', 'ONE');
      },
    ],
  ])('goes on in order after Redis has refused because %s', async (_, disturb) => {
    const broker = await start(server.url);
    await publish(broker, 0);
    const calm = await disturb();
    const ids = publishAll(broker, 1, 200);
    setTimeout(() => void calm(), 500);
    expect((await ids).toSorted(compareCursors)).toEqual(await ids);
    expect(await stored()).toEqual(numbers(200));
  });

  it('keeps to the order of the calls when scripts are flushed while two processes publish', async () => {
    const [one, two] = [await start(server.url), await start(server.url)];
    const settled = async (broker: RedisSseBroker, channel: string) => {
      const calls: Promise<string>[] = [];
      for (let n = 0; n < 1_500; n++) {
        calls.push(publish(broker, n, { channel }));
        if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (n % 100 === 50) void admin.script('FLUSH');
      }
      return Promise.allSettled(calls);
    };
    const [a, b] = await Promise.all([settled(one, 'a'), settled(two, 'b')]);
    for (const [results, channel] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const ids = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(await entries(channel)).toEqual(ids);
      expect(ids.length).toBe(1_500);
    }
    expect([await publish(one, 'then'), await publish(two, 'then', { channel: 'b' })]).toEqual([
      (await entries('a')).at(-1),
      (await entries('b')).at(-1),
    ]);
  });

  it('rejects, and has changed nothing, when Redis has no memory left', async () => {
    const broker = await start();
    await publish(broker, 0, { id: 'own' });
    const before = [await entries(), await admin.hgetall('sse:{a}:meta')];
    await admin.config('SET', 'maxmemory', '1mb');
    const rejection = {
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
      message: expect.stringContaining('OOM'),
    };
    await expect(publish(broker, 1, { id: 'more', idempotencyKey: 'k' })).rejects.toMatchObject(rejection);
    expect([await entries(), await admin.hgetall('sse:{a}:meta')]).toEqual(before);
    expect(await admin.exists('sse:{a}:idempotency:k')).toBe(0);
    await admin.config('SET', 'maxmemory', '0');
    await publish(broker, 1, { id: 'more', idempotencyKey: 'k' });
    expect(await stored()).toEqual([0, 1]);
  });

  it.each(['meta', 'history', 'ids', 'idempotency:k'])(
    'rejects, and has changed nothing, where %s is no key of ours',
    async (name) => {
      const broker = await start();
      await admin.set(`sse:{a}:${name}`, 'somebody else’s');
      if (name === 'idempotency:k')
        await admin.del(`sse:{a}:${name}`).then(() => admin.lpush(`sse:{a}:${name}`, 'x'));
      const rejection = {
        code: 'SSE_UNAVAILABLE',
        mayBePublished: false,
        message: expect.stringContaining('WRONGTYPE'),
      };
      await expect(publish(broker, 1, { id: 'own', idempotencyKey: 'k' })).rejects.toMatchObject(rejection);
      expect(await admin.keys('*')).toEqual([`sse:{a}:${name}`]);
    },
  );

  it('says that an event may be published when it cannot find out', async () => {
    const broker = await start(proxy.url, 1);
    const other = await start(server.url, 1);
    await publish(broker, 0);
    let lost = false;
    proxy.onUp = (chunk) => {
      if (lost || !chunk.toString('latin1').includes('"data":"lost"')) return;
      lost = true;
      proxy.dropDown = true;
    };
    const rejected = expect(publish(broker, 'lost')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: true,
    });
    await until(async () => (await stored()).includes('lost'));
    // So many that the history does not reach back to it.
    await publishAll(other, 0, 500);
    proxy.onUp = () => undefined;
    proxy.cut();
    proxy.dropDown = false;
    await rejected;
  });

  it('says that an event may be published when Redis hangs for too long', async () => {
    const broker = await start();
    await publish(broker, 0);
    server.signal('SIGSTOP');
    const calls = [publish(broker, 1), publish(broker, 'now', { transient: true })];
    for (const call of calls) {
      const rejected = expect(call).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE', mayBePublished: true });
      await within(5_000, 'the rejection', rejected);
    }
    server.signal('SIGCONT');
    await until(() => broker.connected);
    await publish(broker, 2);
    const data = await stored();
    expect([
      [0, 2],
      [0, 1, 2],
    ]).toContainEqual(data);
  });

  it('takes no more than its bounds while Redis is out of reach, and fails those it took', async () => {
    const broker = new RedisSseBroker(`redis://127.0.0.1:${await freePort()}`, 'sse:');
    brokers.push(broker);
    const data = 'x'.repeat(90_000);
    const calls: Promise<string>[] = [];
    for (let n = 0; n < 745; n++) calls.push(publish(broker, data));
    await expect(publish(broker, data)).rejects.toMatchObject({
      message: expect.stringContaining('await publish()'),
    });
    const results = await within(5_000, 'all rejections', Promise.allSettled(calls));
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    for (let n = 0; n < 100_000; n++) publish(broker, n).catch(() => undefined);
    await expect(publish(broker, 1)).rejects.toMatchObject({
      message: expect.stringContaining('await publish()'),
    });
  });

  it('keeps a bounded number of the publishers of a channel, the newest among them', async () => {
    const script = new RedisScript(PUBLISH);
    // With the rights that are documented.
    const [user, prefix] = [new Redis(redisUrl()), randomPrefix()];
    const place = { connection: { client: user } as RedisConnection };
    const keys = ['history', 'meta'].map((name) => `${prefix}{a}:${name}`);
    const publishers = numbers(200).map((n) => `${n}`.padEnd(8, '-'));
    const publishAs = (publisher: string, number: number) => {
      const nonce = `${publisher}${number.toString(36)}`;
      const args = [`${prefix}a`, '{"data":1}', '', nonce, 1, '', '', 'PUBLISH', number, ''];
      return script.run(place, keys, args);
    };
    const [steady, ...others] = publishers as [string, ...string[]];
    for (const [number, publisher] of others.entries()) {
      await publishAs(steady, number);
      await publishAs(publisher, 0);
    }
    await expect(publishAs(steady, others.length - 1)).rejects.toThrow('REPEATED');
    const marks = (await user.hkeys(keys[1]!)).filter((field) => field.startsWith('@'));
    expect(marks.length).toBeLessThan(65);
    expect(marks.slice(-2)).toEqual([`@${steady}`, `@${others.at(-1)}`]);
    expect(marks.length).toBeGreaterThan(31);
    user.disconnect();
  });

  it('frees a bounded part of a long history with each event, until it is as short as it was set', async () => {
    const broker = await start(server.url, 1_000_000);
    const fill = `for n = 1, 100000 do redis.call('XADD', KEYS[1], '1000000000-' .. n, '1', '1000000000-0 x {"data":1}') end`;
    await admin.eval(fill, 1, 'sse:{a}:history');
    await publish(broker, 'first');
    const shorter = await start(server.url, 10);
    await publish(shorter, 'second');
    const left = await admin.xlen('sse:{a}:history');
    expect(left).toBeGreaterThan(60_000);
    expect(left).toBeLessThan(95_000);
    await publishAll(shorter, 0, 20);
    expect(await admin.xlen('sse:{a}:history')).toBeLessThan(120);
  });

  it('leaves what an application keeps to it, when somebody without a setting publishes', async () => {
    const application = await start(server.url, 5_000);
    const commandLine = new RedisSseBroker(server.url, 'sse:');
    brokers.push(commandLine);
    await publishAll(application, 0, 5_000);
    await publish(commandLine, 'from a shell');
    expect(await admin.xlen('sse:{a}:history')).toBeGreaterThanOrEqual(5_000);
    await publishAll(commandLine, 0, 1_200, 'b');
    expect(await admin.xlen('sse:{b}:history')).toBeGreaterThanOrEqual(1_000);
    expect(await admin.xlen('sse:{b}:history')).toBeLessThanOrEqual(1_100);
    await application.read('b', [], 0);
    await publishAll(commandLine, 0, 3_000, 'b');
    expect(await admin.xlen('sse:{b}:history')).toBeGreaterThanOrEqual(4_000);
  });
});

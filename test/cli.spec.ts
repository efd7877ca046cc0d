import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Cli, runCli } from './support/cli.js';
import { connect } from './support/client.js';
import { TestCluster } from './support/cluster.js';
import type { SseEvent } from 'nestjs-sse-channels';
import { freePort } from './support/port.js';
import { adminUrl, randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { Sample } from './support/sample.js';
import { SharedCli } from './support/shared-cli.js';
import { until } from './support/until.js';

const CURSOR = /^\d{13}-\d{1,7}\n$/;
const dir = mkdtempSync(join(tmpdir(), 'sse-cli-'));
const file = (name: string, content: string | Buffer) => {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};

afterAll(() => rmSync(dir, { recursive: true }));

describe('The command line', () => {
  let env: Record<string, string>;

  beforeEach(() => {
    env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
  });

  const shared = new SharedCli();
  const run = (args: string, input: string | Buffer = '', more = {}) =>
    shared.run(args.split(' ').filter(Boolean), input, { ...env, ...more });

  /** Starts a subscriber, and resolves when it is live: what is published from then on arrives. */
  const live = async <T>(args: string, redis: Record<string, string>, start: (args: string) => T) => {
    const { SSE_REDIS_URL: url, SSE_PREFIX: prefix } = redis;
    const channel = `${prefix}${/--channel (\S+)/.exec(args)?.[1] ?? 'sse'}`;
    const admin = new Redis(url!);
    const count = async () => Number((await admin.pubsub('NUMSUB', channel))[1]);
    const before = await count();
    const started = start(`sse subscribe ${args}`);
    await until(async () => (await count()) > before && (await admin.keys(`${prefix}*:meta`)).length > 0);
    admin.disconnect();
    return { started };
  };
  const subscribe = async (args: string, url = adminUrl()) => {
    const redis = { ...env, SSE_REDIS_URL: url };
    return (await live(args, redis, (command) => new Cli(command, redis))).started;
  };
  const subscribers = new SharedCli();
  /** Starts a subscriber with `--count`. `end()` resolves to the events it printed. */
  const receive = async (args: string, more = {}) => {
    const redis = { ...env, SSE_REDIS_URL: adminUrl(), ...more };
    const { started } = await live(args, redis, (command) => subscribers.run(command.split(' '), '', redis));
    const end = async () => {
      const { code, stdout, stderr } = await started;
      expect([code, stderr]).toEqual([0, '']);
      return stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as SseEvent);
    };
    return { end };
  };
  const isSubscribed = async (url: string, channel: string) => {
    const admin = new Redis(url, { maxRetriesPerRequest: 500 }).on('error', () => undefined);
    await until(async () => Number((await admin.pubsub('NUMSUB', channel))[1]) > 0);
    await until(async () => (await admin.keys('*:meta')).length > 0);
    admin.disconnect();
  };

  it.each(['--help', 'sse --help', 'sse publish --help', 'sse subscribe --help', 'help'])(
    'explains itself: %s',
    async (args) => {
      const { code, stdout, stderr } = await run(args);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^Usage: /);
    },
  );

  it.each([
    [
      'publish',
      [
        '--channel',
        '--type',
        '--id',
        '--retry',
        '--text',
        '--ndjson',
        '--redis-url',
        '--cluster',
        '--sharded',
        '--prefix',
      ],
    ],
    [
      'subscribe',
      [
        '--channel',
        '--last-event-id',
        '--json',
        '--count',
        '--redis-url',
        '--cluster',
        '--sharded',
        '--prefix',
      ],
    ],
  ])('shows the flags of %s', async (command, flags) => {
    const { stdout } = await run(`sse ${command} --help`);
    expect(
      stdout
        .match(/--[a-z-]+/g)
        ?.filter((flag) => flag !== '--help')
        .toSorted(),
    ).toEqual(flags.toSorted());
  });

  it('publishes a document from stdin or from a file, and prints the id', async () => {
    const subscriber = await subscribe('--channel cool_channel --count 3');
    const first = await runCli(
      'sse publish --channel cool_channel',
      '{"code":"ACK","msg":"cool message"}\n',
      env,
    );
    const path = file('message.json', '{\n  "from": "a file"\n}\n');
    const second = await run(
      `sse publish ${path} --type cool --id 12345 --retry 6000 --channel cool_channel`,
    );
    const third = await run('sse publish --channel cool_channel --text', 'two\nlines\n');
    expect(first).toEqual({ code: 0, stdout: expect.stringMatching(CURSOR), stderr: '' });
    expect(second).toEqual({ code: 0, stdout: '12345\n', stderr: '' });
    expect(third.code).toBe(0);
    expect(await subscriber.end()).toBe(0);
    expect(subscriber.stdout).toBe(
      `id: ${first.stdout}data: {"code":"ACK","msg":"cool message"}\n\n` +
        'event: cool\nid: 12345\nretry: 6000\ndata: {"from":"a file"}\n\n' +
        `id: ${third.stdout}data: two\ndata: lines\n\n`,
    );
  });

  it('publishes and prints numbers digit by digit', async () => {
    const subscriber = await subscribe('--json --count 2');
    const id = '1724442618569203714';
    await run(`sse publish --type t --id ${id} --retry 5`, `{ "n": ${id} }`);
    const second = await run('sse publish --ndjson', '[12.50, 1e400]');
    expect(await subscriber.end()).toBe(0);
    expect(subscriber.stdout).toBe(
      `{"id":"${id}","channel":"sse","data":{"n":${id}},"type":"t","retry":5}\n` +
        `{"id":"${second.stdout.trim()}","channel":"sse","data":[12.50,1e400]}\n`,
    );
  });

  it('publishes lines in order, and prints an id for each', async () => {
    const subscriber = await receive('--json --count 2000');
    const input = Array.from({ length: 2_000 }, (_, n) => `{"n":${n},"text":"\u2028"}`).join('\r\n\n');
    const { code, stdout } = await run('sse publish --ndjson', input);
    expect(code).toBe(0);
    const events = await subscriber.end();
    expect(events.map(({ id }) => id)).toEqual(stdout.trim().split('\n'));
    expect(events.map(({ data }) => data)).toEqual(
      Array.from({ length: 2_000 }, (_, n) => ({ n, text: '\u2028' })),
    );
    expect(events[0]).toMatchObject({ channel: 'sse' });
  });

  it('stops at a bad line, and says which, and what was published', async () => {
    const { code, stdout, stderr } = await run('sse publish --ndjson', '1\n2\n\n{bad\n5\n');
    expect([code, stdout.split('\n').length - 1]).toEqual([2, 2]);
    expect(stderr).toMatch(/^Expected line 4 to be JSON: .*\nEvents published before that: 2\n$/);
  });

  it('publishes nothing from a line on that is too large', async () => {
    const subscriber = await receive('--json --count 3');
    const lines = Array.from({ length: 10 }, (_, n) =>
      n === 2 ? JSON.stringify('x'.repeat(300_000)) : `${n}`,
    );
    const { code, stdout, stderr } = await run('sse publish --ndjson', lines.join('\n'));
    expect([code, stdout.split('\n').length - 1]).toEqual([2, 2]);
    expect(stderr).toMatch(/^Line 3: Expected `data` to be at most.*\nEvents published before that: 2\n$/);
    await run('sse publish', '"end"');
    expect((await subscriber.end()).map(({ data }) => data)).toEqual([0, 1, 'end']);
  });

  it('says what has become of the lines when Redis hangs in the middle', async () => {
    const redis = await startRedis();
    const cli = new Cli('sse publish --ndjson', { ...env, SSE_REDIS_URL: redis.url });
    for (let n = 0; n < 1_000; n++) cli.process.stdin!.write(`${n}\n`);
    await until(() => cli.lines.length === 1_000);
    redis.signal('SIGSTOP');
    cli.process.stdin!.write('"behind"\n'.repeat(10));
    expect(await cli.end()).toBe(1);
    expect(cli.stderr).toMatch(
      /^.*out of reach.*\nLine \d+: Redis did not answer: Socket timeout.*\nEvents published before that: \d+; [1-9]\d* more may have been published\n$/,
    );
  });

  it('ends with 1, and no trace, when nobody reads the ids', async () => {
    const cli = new Cli('sse publish --ndjson', env);
    cli.process.stdin!.write('1\n'.repeat(1_000));
    await until(() => cli.stdout !== '');
    cli.process.stdout!.destroy();
    cli.process.stdin!.write('2\n'.repeat(1_000));
    expect(await cli.end()).toBe(1);
    expect(cli.stderr).toMatch(/^Cannot write to stdout: .*EPIPE.*\nEvents published before that: \d+\n$/);
  });

  it('refuses a line without end, in bounded time and memory', async () => {
    const cli = new Cli('sse publish --ndjson', env);
    const chunk = 'x'.repeat(1_000_000);
    for (let n = 0; n < 20; n++) cli.process.stdin!.write(chunk);
    expect(await cli.end()).toBe(2);
    expect(cli.stderr).toMatch(/^Expected line 1 to be at most 8388608 characters long\n/);
  });

  it('ends on SIGINT although nobody reads what it has printed', async () => {
    const subscriber = await subscribe('');
    subscriber.process.stdout!.pause();
    for (let n = 0; n < 5; n++) await run('sse publish --text', 'x'.repeat(250_000));
    subscriber.process.kill('SIGINT');
    await until(() => subscriber.process.exitCode === 0);
  });

  it.each<[what: string, args: string, input: string, stderr: RegExp]>([
    ['no command', '', '', /Usage: /],
    ['half a command', 'sse', '', /Usage: /],
    ['an unknown command', 'nope', '', /unknown command 'nope'/],
    ['an unknown subcommand', 'sse nope', '', /unknown command 'nope'|too many arguments/],
    ['an unknown flag', 'sse publish --bogus', '1', /unknown option '--bogus'/],
    ['a flag without its value', 'sse publish --channel', '1', /argument missing/],
    ['a second file', 'sse publish a b', '', /too many arguments/],
    ['no input', 'sse publish', '', /Expected the input to be JSON/],
    ['two documents', 'sse publish', '1\n2', /Expected the input to be JSON/],
    ['a file that is not there', 'sse publish /nowhere', '', /Cannot read the input: ENOENT/],
    ['a folder', 'sse publish /', '', /Cannot read the input: EISDIR/],
    ['a wrong channel', 'sse publish --channel {}', '1', /Expected `channel`/],
    ['a wrong type', 'sse publish --type error', '1', /Expected `type`/],
    ['an id that is the broker’s', 'sse publish --id 1763884800000-5', '1', /Expected `id`/],
    ['a wrong type for no lines', 'sse publish --ndjson --type error', '', /Expected `type`/],
    ['a wrong retry', 'sse publish --retry 1e3', '1', /Expected --retry to be a whole number/],
    ['a retry out of range', 'sse publish --retry 3600001', '1', /Expected `retry`/],
    ['--text with --ndjson', 'sse publish --text --ndjson', '1', /one of --text and --ndjson/],
    ['--id with --ndjson', 'sse publish --id a --ndjson', '1', /no --id with --ndjson/],
    ['too much data', 'sse publish --text', 'x'.repeat(300_000), /at most 262144 bytes/],
    ['a wrong URL', 'sse publish --redis-url http://localhost', '1', /^SseModule: expected `redis`.*\n$/],
    ['a wrong prefix', 'sse publish --prefix {}', '1', /expected `prefix`/],
    ['a wrong channel to subscribe to', 'sse subscribe --channel {}', '', /Expected `channel`/],
    ['a wrong count', 'sse subscribe --count 0', '', /Expected --count to be a whole number from 1/],
  ])('exits with 2 for %s', async (_, args, input, stderr) => {
    const result = await run(args, input);
    expect(result).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(stderr) });
  });

  it.each([
    ['a usage that commander refuses', 'sse publish --bogus', ''],
    ['input that the module refuses', 'sse publish --channel {}', '1'],
  ])('exits with 2 for %s, as a process of its own', async (_, args, input) => {
    const result = await runCli(args, input, env);
    expect(result).toEqual(await run(args, input));
    expect(result.code).toBe(2);
  });

  it('exits with 2 for input that is not UTF-8', async () => {
    const { code, stderr } = await run(`sse publish ${file('latin1', Buffer.from([0x22, 0xe9, 0x22]))}`);
    expect([code, stderr]).toEqual([2, 'Expected the input to be UTF-8\n']);
  });

  it('exits with 1 where Redis is out of reach, within 5 s', async () => {
    const nowhere = `redis://127.0.0.1:${await freePort()}`;
    const [publish, listen] = await Promise.all([
      runCli(`sse publish --redis-url ${nowhere}`, '1', env),
      runCli(`sse subscribe --redis-url ${nowhere}`, '', env),
    ]);
    expect(publish).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/Redis is out of reach: .*ECONNREFUSED/),
    });
    expect(listen).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/Redis is out of reach/),
    });
  });

  it('exits with 1 where Redis refuses, and says what of the lines was published', async () => {
    const redis = await startRedis();
    const admin = redis.admin();
    await admin.set('sse:{no}:meta', 'not a hash');
    const there = { SSE_REDIS_URL: redis.url, SSE_PREFIX: 'sse:' };
    const one = await run('sse publish --channel no', '1', there);
    const lines = await run('sse publish --channel no --ndjson', '1\n2\n', there);
    expect(one).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('WRONGTYPE') });
    expect(lines).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Line 1: .*WRONGTYPE[^]*before that: 0\n$/),
    });
    admin.disconnect();
  });

  it('takes Redis and the prefix from flags before the environment', async () => {
    const redis = await startRedis();
    const subscriber = await receive('--count 1 --json', { SSE_REDIS_URL: redis.url, SSE_PREFIX: 'flag:' });
    const away = { SSE_REDIS_URL: 'redis://127.0.0.1:1', SSE_PREFIX: 'env:' };
    expect((await run(`sse publish --redis-url ${redis.url} --prefix flag:`, '1', away)).code).toBe(0);
    expect(await subscriber.end()).toHaveLength(1);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends with 0 on %s', async (signal) => {
    const subscriber = await subscribe('');
    subscriber.process.kill(signal);
    expect(await subscriber.end()).toBe(0);
    expect(subscriber.stderr).toBe('');
  });

  it('ends with 0 when its reader has seen enough', async () => {
    const subscriber = await subscribe('');
    await run('sse publish', '1');
    await until(() => subscriber.stdout !== '');
    subscriber.process.stdout!.destroy();
    await once(subscriber.process.stdout!, 'close');
    await until(async () => (await run('sse publish', '2'), subscriber.process.exitCode === 0));
    expect(subscriber.stderr).toBe('');
  });

  it('comes back by itself when Redis went away, and says so', async () => {
    const redis = await startRedis();
    const subscriber = await subscribe('--channel news', redis.url);
    const admin = redis.admin();
    await admin.publish(`${env.SSE_PREFIX}news`, '{"data":"before"}');
    // It knows where the channel is.
    await until(() => subscriber.stdout.includes('data: before'));
    admin.disconnect();
    await redis.kill();
    await until(() => subscriber.stderr.includes('Redis is out of reach'));
    await redis.start();
    await until(() => subscriber.stderr.includes('Redis is back'));
    await isSubscribed(redis.url, `${env.SSE_PREFIX}news`);
    const published = await run('sse publish --channel news', '"after"', { SSE_REDIS_URL: redis.url });
    await until(() => subscriber.stdout.includes('data: after'));
    expect(subscriber.stdout.match(/event: sse.reset/g)).toHaveLength(1);
    expect(published.code).toBe(0);
  });

  it('resumes after an event: what was published since comes first', async () => {
    const [first, , last] = (await run('sse publish --ndjson', '1\n2\n3\n')).stdout.split('\n');
    const replayed = await run(`sse subscribe --last-event-id ${first} --count 2 --json`, '');
    expect(replayed.code).toBe(0);
    expect(
      replayed.stdout
        .split('\n')
        .slice(0, 2)
        .map((line) => (JSON.parse(line) as SseEvent).data),
    ).toEqual([2, 3]);
    const subscriber = await receive(`--last-event-id ${last} --count 1 --json`);
    await run('sse publish', '"next"');
    expect(await subscriber.end()).toMatchObject([{ data: 'next' }]);
  });

  it('publishes what two applications show to their clients', async () => {
    const samples = await Promise.all([Sample.start(env), Sample.start(env)]);
    const clients = await Promise.all(samples.map(({ url }) => connect(`${url}/channel`)));
    await Promise.all(clients.map((client) => client.next()));
    const subscriber = await receive('--count 2 --json');
    await run('sse publish --type cool', '{"from":"the command line"}');
    await samples[0].publish({ data: 'from an application' });
    for (const client of clients) {
      expect(await client.take(2)).toMatchObject([
        { event: 'cool', data: '{"from":"the command line"}' },
        { data: 'from an application' },
      ]);
      client.close();
    }
    expect(await subscriber.end()).toHaveLength(2);
  });

  it.each(['--cluster', '--sharded'])(
    'publishes and subscribes by any node of a cluster: %s',
    async (flag) => {
      const cluster = await TestCluster.start({ replicas: 0 });
      const [one, other] = cluster.servers;
      const channel = 'a';
      const from = { SSE_REDIS_URL: one!.url, SSE_PREFIX: 'sse:' };
      const { code, stdout, stderr } = await run(`sse publish ${flag} --channel ${channel}`, '1', from);
      expect([code, stderr]).toEqual([0, '']);
      const args = `sse subscribe ${flag} --channel ${channel} --last-event-id ${stdout.trim()} --count 1 --json`;
      const subscriber = subscribers.run(args.split(' '), '', {
        SSE_REDIS_URL: other!.url,
        SSE_PREFIX: 'sse:',
      });
      const subscribed = async () => {
        const [command, name] =
          flag === '--sharded' ? ['SHARDCHANNELS', `sse:{${channel}}`] : ['CHANNELS', `sse:${channel}`];
        const lists = cluster.servers.map((server) => cluster.call(server, 'PUBSUB', command, name));
        return (await Promise.all(lists)).flat().length > 0;
      };
      await until(subscribed);
      await run(`sse publish ${flag} --channel ${channel}`, '2', from);
      const seen = await subscriber;
      expect([seen.code, JSON.parse(seen.stdout)]).toMatchObject([0, { data: 2, channel }]);
    },
  );
});

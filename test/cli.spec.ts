import { describe, expect, it } from '@jest/globals';
import { connect } from './support/client.js';
import { TestCluster } from './support/cluster.js';
import { commandLine } from './support/command-line.js';
import { startRedis } from './support/redis.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

describe('The command line', () => {
  const { env, run, receive, subscribers } = commandLine();

  it.each([
    '--help',
    'sse --help',
    'sse publish --help',
    'sse subscribe --help',
    'sse position --help',
    'sse channels --help',
    'sse stream --help',
    'sse stream run --help',
    'sse stream attach --help',
    'sse stream stop --help',
    'help',
  ])('prints its usage: %s', async (args) => {
    const { code, stdout, stderr } = await run(args);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Usage: /);
  });

  it.each([
    ['publish', ['--channel', '--type', '--id', '--retry', '--text', '--ndjson']],
    ['subscribe', ['--channel', '--last-event-id', '--from', '--json', '--count']],
    ['position', ['--channel']],
    [
      'stream run',
      ['--type', '--json', '--tee', '--replace', '--lease-ms', '--keep-ms', '--max-ms', '--max-bytes'],
    ],
    ['stream attach', ['--last-event-id', '--json']],
    ['stream stop', ['--reason']],
  ])('shows the flags of %s', async (command, flags) => {
    const { stdout } = await run(`sse ${command} --help`);
    expect(
      stdout
        .match(/--[a-z-]+/g)
        ?.filter((flag) => flag !== '--help')
        .toSorted(),
    ).toEqual([...flags, '--redis-url', '--cluster', '--sharded', '--prefix'].toSorted());
  });

  it('prefers the flags for Redis and the prefix over the environment', async () => {
    const redis = await startRedis();
    const subscriber = await receive('--count 1 --json', { SSE_REDIS_URL: redis.url, SSE_PREFIX: 'flag:' });
    const environment = { SSE_REDIS_URL: 'redis://127.0.0.1:1', SSE_PREFIX: 'env:' };
    expect((await run(`sse publish --redis-url ${redis.url} --prefix flag:`, '1', environment)).code).toBe(0);
    expect(await subscriber.end()).toHaveLength(1);
  });

  it('publishes events that two applications send to their clients', async () => {
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
    'publishes and subscribes through any server of a cluster: %s',
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

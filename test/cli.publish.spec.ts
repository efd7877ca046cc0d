import { describe, expect, it } from '@jest/globals';
import { Cli, runCli } from './support/cli.js';
import { commandLine } from './support/command-line.js';
import { startRedis } from './support/redis.js';
import { until } from './support/until.js';

const CURSOR = /^\d{13}-\d{1,7}\n$/;

describe('The command `sse publish`', () => {
  const { env, file, run, subscribe, receive } = commandLine();

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

  it('stops at an invalid line, and prints its number and the count of published events', async () => {
    const { code, stdout, stderr } = await run('sse publish --ndjson', '1\n2\n\n{bad\n5\n');
    expect([code, stdout.split('\n').length - 1]).toEqual([2, 2]);
    expect(stderr).toMatch(/^Expected line 4 to be JSON: .*\nEvents published before that: 2\n$/);
  });

  it('stops at a line that is too large', async () => {
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

  it('prints which lines were published and which may have been when Redis hangs in between', async () => {
    const redis = await startRedis();
    const cli = new Cli('sse publish --ndjson', { ...env, SSE_REDIS_URL: redis.url });
    for (let n = 0; n < 1_000; n++) cli.process.stdin!.write(`${n}\n`);
    await until(() => cli.lines.length === 1_000);
    redis.signal('SIGSTOP');
    cli.process.stdin!.write('"behind"\n'.repeat(10));
    expect(await cli.end()).toBe(1);
    expect(cli.stderr).toMatch(
      /^.*unreachable.*\nLine \d+: Redis did not answer: no reply in 3 s\nEvents published before that: \d+; [1-9]\d* more may have been published\n$/,
    );
  });

  it('exits with 1 and without a stack trace when its stdout is closed', async () => {
    const cli = new Cli('sse publish --ndjson', env);
    cli.process.stdin!.write('1\n'.repeat(1_000));
    await until(() => cli.stdout !== '');
    cli.process.stdout!.destroy();
    cli.process.stdin!.write('2\n'.repeat(1_000));
    expect(await cli.end()).toBe(1);
    expect(cli.stderr).toMatch(/^Cannot write to stdout: .*EPIPE.*\nEvents published before that: \d+\n$/);
  });

  it('rejects an endless line in bounded time and memory', async () => {
    const cli = new Cli('sse publish --ndjson', env);
    const chunk = 'x'.repeat(1_000_000);
    for (let n = 0; n < 20; n++) cli.process.stdin!.write(chunk);
    expect(await cli.end()).toBe(2);
    expect(cli.stderr).toMatch(/^Expected line 1 to be at most 8388608 characters long\n/);
  });
});

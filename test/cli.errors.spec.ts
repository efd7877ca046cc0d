import { describe, expect, it } from '@jest/globals';
import { runCli } from './support/cli.js';
import { commandLine } from './support/command-line.js';
import { freePort } from './support/port.js';
import { startRedis } from './support/redis.js';

/** Exit codes and messages for wrong usage, invalid input, and Redis being unreachable or refusing. */
describe('An error on the command line', () => {
  const { env, file, run } = commandLine();

  it.each<[what: string, args: string, input: string, stderr: RegExp]>([
    ['no command', '', '', /Usage: /],
    ['half a command', 'sse', '', /Usage: /],
    ['an unknown command', 'nope', '', /unknown command 'nope'/],
    ['an unknown subcommand', 'sse nope', '', /unknown command 'nope'|too many arguments/],
    ['an unknown flag', 'sse publish --bogus', '1', /unknown option '--bogus'/],
    ['a flag without its value', 'sse publish --channel', '1', /argument missing/],
    ['a second file', 'sse publish a b', '', /too many arguments/],
    [
      'an unknown start',
      'sse subscribe --from oldest',
      '',
      /Expected --from to be earliest or a whole number/,
    ],
    ['a start beyond the bound', 'sse subscribe --from 9999999', '', /Expected `from.last`/],
    ['two starts', 'sse subscribe --from 1 --last-event-id 2', '', /either --last-event-id or --from/],
    ['a position of a wrong channel', 'sse position {}', '', /Expected `channel`/],
    ['a position of channels given twice', 'sse position a -c b', '', /either as arguments or as --channel/],
    ['no input', 'sse publish', '', /Expected the input to be JSON/],
    ['two documents', 'sse publish', '1\n2', /Expected the input to be JSON/],
    ['a missing file', 'sse publish /nowhere', '', /Cannot read the input: ENOENT/],
    ['a folder', 'sse publish /', '', /Cannot read the input: EISDIR/],
    ['a wrong channel', 'sse publish --channel {}', '1', /Expected `channel`/],
    ['a wrong type', 'sse publish --type error', '1', /Expected `type`/],
    ['an id in the form of a cursor', 'sse publish --id 1763884800000-5', '1', /Expected `id`/],
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
  ])('exits with 2 for %s, as a separate process', async (_, args, input) => {
    const result = await runCli(args, input, env);
    expect(result).toEqual(await run(args, input));
    expect(result.code).toBe(2);
  });

  it('exits with 2 for input that is not UTF-8', async () => {
    const { code, stderr } = await run(`sse publish ${file('latin1', Buffer.from([0x22, 0xe9, 0x22]))}`);
    expect([code, stderr]).toEqual([2, 'Expected the input to be UTF-8\n']);
  });

  it('exits with 1 within 5 s if Redis is unreachable', async () => {
    const nowhere = `redis://127.0.0.1:${await freePort()}`;
    const [publish, listen] = await Promise.all([
      runCli(`sse publish --redis-url ${nowhere}`, '1', env),
      runCli(`sse subscribe --redis-url ${nowhere}`, '', env),
    ]);
    expect(publish).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/Redis is unreachable: .*ECONNREFUSED/),
    });
    expect(listen).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/Redis is unreachable/),
    });
  });

  it('exits with 1 if Redis refuses, and prints the count of published lines', async () => {
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
});

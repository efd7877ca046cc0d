import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Cli, ON_A_TERMINAL, PROGRAM } from './support/cli.js';
import { adminUrl, randomPrefix, redisUrl } from './support/redis.js';
import { SharedCli } from './support/shared-cli.js';
import { until } from './support/until.js';

/** Clears the screen, sets the window title (C0, and C1 in one character), moves the cursor back, and reverses text. */
const HOSTILE = 'a\u001b[2Jb\u009b31mc\u009d0;title\u0007d\re\bf\u007fg\u202eh';
const ESCAPED = 'a\\u001b[2Jb\\u009b31mc\\u009d0;title\\u0007d\\re\\u0008f\\u007fg\\u202eh'.replace(
  '\\r',
  '\\u000d',
);

const dir = mkdtempSync(join(tmpdir(), 'sse-terminal-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('The command line', () => {
  let env: Record<string, string>;
  beforeEach(() => {
    env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
  });

  const shared = new SharedCli();
  const run = (args: string, input = '', more = {}) =>
    shared.run(args.split(' '), input, { ...env, ...more });

  /** The output of `sse subscribe` for one hostile event. */
  const printed = async (args: string, program: string[]) => {
    const admin = new Redis(adminUrl());
    const cli = new Cli(`sse subscribe --count 1 ${args}`, env, program);
    const channel = `${env.SSE_PREFIX}sse`;
    await until(async () => Number((await admin.pubsub('NUMSUB', channel))[1]) > 0);
    await until(async () => (await admin.keys(`${env.SSE_PREFIX}*:meta`)).length > 0);
    // The module does not check publications of other programs.
    const message = { data: { text: HOSTILE }, event: HOSTILE.replace('\r', ''), id: 'own' };
    await until(async () => {
      await admin.publish(channel, JSON.stringify(message));
      return cli.stdout !== '';
    });
    admin.disconnect();
    await cli.end();
    return cli.stdout;
  };

  // oxlint-disable-next-line no-control-regex -- controls are what it looks for
  const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

  it('escapes control characters on a terminal, as text/event-stream', async () => {
    const text = (await printed('', [...ON_A_TERMINAL, ...PROGRAM])).replaceAll('\r\n', '\n');
    expect(text).not.toMatch(CONTROLS);
    expect(text).toContain(`event: ${ESCAPED.replace('\\u000d', '')}\nid: own\ndata: {"text":"a\\u001b[2Jb`);
    expect(text).toContain('b\\u009b31mc\\u009d0;title');
  });

  it('escapes control characters on a terminal, as equivalent JSON', async () => {
    const text = (await printed('--json', [...ON_A_TERMINAL, ...PROGRAM])).replaceAll('\r\n', '\n');
    expect(text).not.toMatch(CONTROLS);
    expect(JSON.parse(text)).toMatchObject({ data: { text: HOSTILE } });
  });

  it('passes the event unchanged to a program', async () => {
    const text = await printed('', PROGRAM);
    expect(text).toContain(`event: ${HOSTILE.replace('\r', '')}\n`);
  });

  it.each<[what: string, args: string, input: string]>([
    ['the input', 'sse publish', '{"token": s3cret \u001b[2J\u009b31m'],
    ['a line of it', 'sse publish --ndjson', '\u001b[2Js3cret'],
    ['a lone word', 'sse publish', 'undefined-s3cret'],
    ['a lone control', 'sse publish', '\u009b'],
  ])('reports that %s is not JSON without printing its text', async (_what, args, input) => {
    const { code, stderr } = await run(args, input);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^Expected (the input|line 1) to be JSON: \S/)]);
    expect(stderr).not.toMatch(CONTROLS);
    expect(stderr).not.toContain('s3cret');
  });

  it.each(['redis://:s3cret', 'redis://user:s3cret', 'redis://:s3cret@', 's3cret@host:6379'])(
    'prints no password of a wrong URL: %s',
    async (url) => {
      for (const flag of ['', '--cluster']) {
        const flagged = await run(`sse publish ${flag} --redis-url ${url}`.replace('  ', ' '), '1');
        expect([flagged.code, flagged.stderr]).toEqual([2, expect.stringContaining('expected `redis')]);
        expect(flagged.stderr + flagged.stdout).not.toContain('s3cret');
      }
      const { code, stderr } = await run('sse publish', '1', { SSE_REDIS_URL: url });
      expect([code, stderr]).toEqual([2, expect.not.stringContaining('s3cret')]);
    },
  );

  it('reads stdin for -, and a file of this name for ./-', async () => {
    const published = { code: 0, stdout: expect.stringMatching(/^\d+-\d+\n$/), stderr: '' };
    expect(await run('sse publish -', '"from stdin"')).toEqual(published);
    expect(await run('sse publish --ndjson -', '1\n')).toEqual(published);
    expect(await run('sse publish --text - --type t', 'text')).toEqual(published);
    writeFileSync(join(dir, '-'), '"from a file"');
    expect(await run(`sse publish ${dir}/-`)).toEqual(published);
  });

  it('escapes control characters in the name of a file', async () => {
    const { code, stderr } = await run('sse publish /\u001b[2J');
    expect([code, stderr]).toEqual([2, expect.stringContaining('\\u001b[2J')]);
    expect(stderr).not.toMatch(CONTROLS);
  });
});

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cli, runCli } from './support/cli.js';
import { compile } from './support/compile.js';
import { freePort } from './support/port.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { SharedCli } from './support/shared-cli.js';

mkdirSync('node_modules/.cache', { recursive: true });
const dir = mkdtempSync(join('node_modules/.cache', 'mount-'));

afterAll(() => rmSync(dir, { recursive: true }));

describe('The commands in an application’s own command line', () => {
  const [documented] = /(?<=```ts\n)[^]*?(?=```)/.exec(readFileSync('docs/cli.md', 'utf8'))!;

  const program = join(dir, 'out/cli.js');
  const shared = new SharedCli(program);

  beforeAll(() => {
    writeFileSync(join(dir, 'cli.ts'), documented);
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    const compilerOptions = { noEmit: false, rootDir: '.', outDir: 'out' };
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({ extends: '../../../tsconfig.json', compilerOptions, include: ['cli.ts'] }),
    );
    const target = join(dir, 'node_modules');
    mkdirSync(target);
    execFileSync('ln', ['-s', process.cwd(), join(target, 'nestjs-sse-channels')]);
    compile(dir);
  });

  it('work through the application’s SseModule, as the docs show', async () => {
    const prefix = randomPrefix();
    const run = (args: string, input: string, more: Record<string, string>) =>
      shared.run(args.split(' '), input, more);
    // The configuration of the application takes precedence: the environment variables for Redis are not read.
    const env = { REDIS_URL: redisUrl(), SSE_REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
    const cli = new Cli('sse publish --channel mounted', env, ['node', program]);
    cli.process.stdin!.end('"from the application"');
    expect([await cli.end(), cli.stdout, cli.stderr]).toEqual([0, expect.stringMatching(/^\d+-\d+\n$/), '']);
    const flagged = await run(`sse publish --redis-url ${redisUrl()} --prefix ${prefix}`, '1', env);
    expect(flagged.code).toBe(0);
    // If a flag sets one of the two, the other is still the application's.
    const prefixed = await run(`sse publish --prefix ${prefix}`, '1', env);
    expect(prefixed.code).toBe(0);
    // In memory a command has no subscribers, so it uses the environment.
    const unset = await run('sse publish', '1', { SSE_REDIS_URL: redisUrl() });
    expect(unset.code).toBe(0);
    expect((await run('sse publish --bogus', '1', env)).code).toBe(2);
    expect((await run('sse publish --type error', '1', env)).code).toBe(2);
    expect((await run('sse --help', '', env)).stdout).toMatch(/publish[^]*subscribe[^]*stream/);
  });

  it('produce, print and stop streams through the application’s SseModule', async () => {
    const id = randomUUID();
    const env = { REDIS_URL: redisUrl(), SSE_REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
    const cli = new Cli(`sse stream run ${id} --keep-ms 60000 -- seq 2`, env, ['node', program]);
    expect([await cli.end(), cli.stdout, cli.stderr]).toEqual([0, '', '']);
    const attached = await shared.run(['sse', 'stream', 'attach', id], '', env);
    expect(attached.stdout).toMatch(/data: 1\n[^]*data: 2\n[^]*event: sse.end\n/);
    expect([attached.code, attached.stderr]).toEqual([0, '']);
    const stopped = await shared.run(['sse', 'stream', 'stop', id], '', env);
    expect(stopped).toEqual({ code: 0, stdout: 'ended\n', stderr: '' });
  });

  it('are not loaded with the index, and neither is nest-commander', async () => {
    const script = `
      import { createRequire } from 'node:module';
      const { cache } = createRequire(import.meta.url);
      const loaded = () => Object.keys(cache).some((path) => /node_modules.(nest-commander|commander|inquirer)/.test(path));
      await import('nestjs-sse-channels');
      const withIndex = loaded();
      await import('nestjs-sse-channels/cli');
      console.log(withIndex, loaded());
    `;
    expect(execFileSync('node', ['--input-type=module', '-e', script], { encoding: 'utf8' })).toBe(
      'false true\n',
    );
  });

  it('read the version of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await runCli('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

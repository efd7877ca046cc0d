import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cli, ON_A_TERMINAL, runCli } from './support/cli.js';
import { compile } from './support/compile.js';
import { freePort } from './support/port.js';

mkdirSync('node_modules/.cache', { recursive: true });
const dir = mkdtempSync(join('node_modules/.cache', 'channels-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** The command line of an application, as docs/cli.md shows it, with channels or without. */
const application = (channels: string) => `
import { Module } from '@nestjs/common';
import { CommandFactory } from 'nest-commander';
import { defineChannel, SseModule, type } from 'nestjs-sse-channels';
import { SseCliModule, stderrLogger } from 'nestjs-sse-channels/cli';
import { z } from 'zod';

export const schemas = { number: z.number(), text: type<string>() };
${channels}

@Module({ imports: [SseModule.forRoot(process.env.REDIS_URL), SseCliModule] })
class CliModule {}

await CommandFactory.run(CliModule, stderrLogger);
`;
const CHANNELS = `
export const channels = [
  defineChannel('shop:{shop}/order:{id}', { paid: schemas.number, 'größe \\u202e': schemas.text }),
  defineChannel('news', { '': schemas.text }),
  defineChannel('Zebra', { message: schemas.number }),
  defineChannel('order:{id}', { paid: schemas.number }),
];
`;
const MARK = '\u202e';

describe('sse channels', () => {
  beforeAll(() => {
    writeFileSync(join(dir, 'shop.ts'), application(CHANNELS));
    writeFileSync(join(dir, 'empty.ts'), application(''));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    const compilerOptions = { noEmit: false, noUnusedLocals: false, rootDir: '.', outDir: 'out' };
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({ extends: '../../../tsconfig.json', compilerOptions, include: ['*.ts'] }),
    );
    mkdirSync(join(dir, 'node_modules'));
    symlinkSync(process.cwd(), join(dir, 'node_modules/nestjs-sse-channels'));
    compile(dir);
  });

  const start = async (args: string, { file = 'shop', terminal = false } = {}) => {
    // Nothing listens there.
    const env = { REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
    const program = ['node', join(dir, `out/${file}.js`)];
    return new Cli(`sse channels ${args}`, env, terminal ? [...ON_A_TERMINAL, ...program] : program);
  };

  it('lists the channels of the application by their patterns, with their event types, without Redis', async () => {
    const cli = await start('');
    expect(await cli.end()).toBe(0);
    expect(cli.lines).toEqual([
      'Zebra\tmessage',
      'news\tmessage',
      'order:{id}\tpaid',
      `shop:{shop}/order:{id}\tpaid, größe ${MARK}`,
    ]);
  });

  it('prints one JSON object a line, with the vendors of the schemas', async () => {
    const cli = await start('--json');
    expect(await cli.end()).toBe(0);
    const own = 'nestjs-sse-channels';
    expect(cli.lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { pattern: 'Zebra', parameters: [], events: [{ type: 'message', vendor: 'zod' }] },
      { pattern: 'news', parameters: [], events: [{ type: 'message', vendor: own }] },
      { pattern: 'order:{id}', parameters: ['id'], events: [{ type: 'paid', vendor: 'zod' }] },
      {
        pattern: 'shop:{shop}/order:{id}',
        parameters: ['shop', 'id'],
        events: [
          { type: 'paid', vendor: 'zod' },
          { type: `größe ${MARK}`, vendor: own },
        ],
      },
    ]);
  });

  it.each(['', '--json'])(
    'escapes marks that change the direction of text on a terminal: %s',
    async (args) => {
      const cli = await start(args, { terminal: true });
      expect(await cli.end()).toBe(0);
      expect(cli.stdout).toContain('größe \\u202e');
      expect(cli.stdout).not.toContain(MARK);
    },
  );

  it('says where channels are defined if there are none, and exits with 1', async () => {
    const none = expect.stringMatching(/^No typed channels: .* defineChannel\(\) .* SseCliModule\n$/);
    const cli = await start('--json', { file: 'empty' });
    expect([await cli.end(), cli.stdout]).toEqual([1, '']);
    expect(cli.stderr).toContain('No typed channels: ');
    // The program of the package has no application.
    expect(await runCli('sse channels')).toEqual({ code: 1, stdout: '', stderr: none });
  });

  it('refuses arguments and unknown flags with 2, and has no flags for Redis', async () => {
    expect(await runCli('sse channels orders')).toMatchObject({ code: 2, stdout: '' });
    expect(await runCli('sse channels --redis-url redis://localhost')).toMatchObject({ code: 2, stdout: '' });
    const { stdout } = await runCli('sse channels --help');
    expect(stdout.match(/--[a-z-]+/g)).toEqual(['--json', '--help']);
  });
});

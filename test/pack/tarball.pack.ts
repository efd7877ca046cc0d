import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Cli } from '../support/cli.js';
import { adminUrl, randomPrefix, redisUrl } from '../support/redis.js';
import { until } from '../support/until.js';

/** What the package ships, and nothing else. */
const MODULES = [
  'access/access',
  'access/connections',
  'access/disconnections',
  'access/lease',
  'broker/broker',
  'broker/memory.broker',
  'broker/message',
  'broker/redis.broker',
  'broker/redis.check',
  'broker/redis.cluster',
  'broker/redis.connection',
  'broker/redis.outage',
  'broker/redis.pending',
  'broker/redis.probe',
  'broker/redis.publisher',
  'broker/redis.script',
  'broker/redis.sender',
  'broker/redis.servers',
  'broker/redis.slots',
  'broker/redis.subscriber',
  'broker/redis.subscriptions',
  'channel/backlog',
  'channel/channel-counts',
  'channel/channel-event',
  'channel/channel-hub',
  'channel/channels',
  'channel/composite',
  'channel/history-reader',
  'channel/live-hub',
  'channel/liveness',
  'channel/replay',
  'channel/ring',
  'channel/subscribers',
  'cli/index',
  'cli/input',
  'cli/main',
  'cli/publish.command',
  'cli/redis.command',
  'cli/sse.command',
  'cli/subscribe.command',
  'event',
  'figures',
  'http/allow-channels.guard',
  'http/authorization',
  'http/authorizer',
  'http/batch',
  'http/event-stream',
  'http/event-streams',
  'http/frame',
  'http/heartbeat',
  'http/last-event-id.decorator',
  'http/open-streams',
  'http/origin',
  'http/outbox',
  'http/requested-channels',
  'http/sse-channel.decorator',
  'http/sse-channel.interceptor',
  'http/sse-target',
  'index',
  'limiter',
  'prometheus',
  'resolve-options',
  'sse.errors',
  'sse.metrics',
  'sse.module',
  'sse.module-definition',
  'sse.options',
  'sse.service',
  'terminus',
  'testing/collect',
  'testing/collect-options',
  'testing/collect-request',
  'testing/collect.error',
  'testing/index',
  'testing/parser',
  'testing/sse-testing.module',
  'testing/sse-testing.service',
];
const FILES = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'package.json',
  'dist/broker/find.lua',
  'dist/broker/publish.lua',
  'dist/broker/read.lua',
  ...MODULES.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
];

const COMPILER_OPTIONS = {
  target: 'es2023',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  esModuleInterop: true,
  skipLibCheck: true,
  outDir: 'out',
  rootDir: '.',
  types: ['node'],
};
const APPLICATIONS = [
  {
    name: 'Nest 12 as ES modules',
    type: 'module',
    nest: '^12.0.0',
    typescript: '~6.0.3',
    compilerOptions: { ...COMPILER_OPTIONS, module: 'nodenext' },
    extra: ['vitest@^4', 'jest@^30', '@types/jest@^30', '@swc/core@1.16.18', '@swc/jest@^0.2.39'],
    tests: ['Jest, with Nest 12', 'Vitest'],
  },
  {
    name: 'Nest 11.2.0 as CommonJS',
    type: 'commonjs',
    nest: '11.2.0',
    typescript: '~5.9.0',
    compilerOptions: { ...COMPILER_OPTIONS, module: 'commonjs', moduleResolution: 'node10' },
    extra: ['jest@^30', '@types/jest@^30', '@swc/core@1.16.18', '@swc/jest@^0.2.39'],
    tests: ['Jest, with Nest 11'],
  },
];

/** The code block of a section of docs/testing.md. */
const documented = (section: string) =>
  readFileSync('docs/testing.md', 'utf8')
    .split(`## ${section}\n`)[1]!
    .split('\n## ')[0]!
    .match(/```\w+\n([^]*?)```/)![1]!;

describe('The packed package', () => {
  const root = mkdtempSync(join(tmpdir(), 'sse-pack-'));
  let tarball: string;
  let files: string[];

  const inFolder =
    (cwd: string) =>
    (command: string, ...args: string[]) =>
      execFileSync(command, args, {
        cwd,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
      });

  beforeAll(() => {
    const [pack] = JSON.parse(
      inFolder('.')('npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', root),
    ) as [{ filename: string; files: { path: string }[] }];
    tarball = join(root, pack.filename);
    files = pack.files.map(({ path }) => path);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('holds the files of the list, and nothing else', () => {
    expect(files.toSorted()).toEqual(FILES.toSorted());
  });

  it('runs nothing when it is installed, nor does what it brings', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    expect(Object.keys(scripts)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/install|^prepare$/)]),
    );
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { dev?: boolean; hasInstallScript?: boolean }>;
    };
    const running = Object.entries(lock.packages).filter(
      ([, { dev, hasInstallScript }]) => hasInstallScript && !dev,
    );
    expect(running).toEqual([]);
  });

  it('is clean by publint and by arethetypeswrong', () => {
    const run = inFolder('.');
    expect(run('npx', 'publint', 'run', tarball, '--strict')).toContain('All good!');
    // ES modules only is what it is: CommonJS loads it with require(), which the engines it asks for can do.
    const rules = ['--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm'];
    expect(run('npx', 'attw', tarball, ...rules)).not.toContain('❌');
  });

  describe.each(APPLICATIONS)(
    'in $name',
    ({ name, type, nest, typescript, compilerOptions, extra, tests }) => {
      const dir = join(root, name.replaceAll(/\W+/g, '-'));
      const run = inFolder(dir);

      beforeAll(() => {
        execFileSync('mkdir', [dir]);
        writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'app', private: true, type }));
        // As Nest's own: the one for all files is also the one of the tests.
        writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
        const build = { extends: './tsconfig.json', files: ['app.ts'] };
        writeFileSync(join(dir, 'tsconfig.build.json'), JSON.stringify(build));
        copyFileSync('test/pack/app.ts', join(dir, 'app.ts'));
        const packages = ['common', 'core', 'platform-express', 'platform-fastify', 'testing'];
        // The Fastify adapter does not exist as 11.2.0 on every registry; any 11.2 goes with these.
        const versionOf = (part: string) =>
          part === 'platform-fastify' ? nest.replace(/^11\.2\.0$/, '~11.2.0') : nest;
        const versions = packages.map((part) => `@nestjs/${part}@${versionOf(part)}`);
        const optional = [`@nestjs/terminus@${nest.split('.')[0]!.replace(/^\^?/, '^')}`, 'prom-client@^15'];
        const others = [
          ...optional,
          'rxjs@^7',
          'reflect-metadata@^0.2',
          `typescript@${typescript}`,
          '@types/node@^20',
        ];
        run('npm', 'install', '--no-audit', '--no-fund', tarball, ...versions, ...others, ...extra);
      }, 300_000);

      it('compiles against its types, starts on Express and on Fastify, publishes and receives', () => {
        run('npx', 'tsc', '-p', 'tsconfig.build.json');
        expect(run('node', 'out/app.js')).toBe('Express works\nFastify works\n');
      }, 60_000);

      it.each(['nest-cli', 'nestjs-sse-channels'])(
        'runs as %s',
        async (bin) => {
          const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
          const program = [join(dir, 'node_modules/.bin', bin)];
          expect(run(program[0]!, 'sse', '--help')).toMatch(new RegExp(`^Usage: ${bin} sse `));
          const subscriber = new Cli('sse subscribe --count 1 --json', env, program);
          const admin = new Redis(adminUrl());
          await until(async () => Number((await admin.pubsub('NUMSUB', `${env.SSE_PREFIX}sse`))[1]) === 1);
          await until(() => admin.exists(`${env.SSE_PREFIX}{sse}:meta`));
          admin.disconnect();
          const publisher = new Cli('sse publish --text', env, program);
          publisher.process.stdin!.end('hello');
          expect([await publisher.end(), await subscriber.end()]).toEqual([0, 0]);
          expect(JSON.parse(subscriber.stdout)).toEqual({
            id: publisher.lines[0],
            channel: 'sse',
            data: 'hello',
          });
        },
        30_000,
      );

      it.each(tests)(
        'is tested by its users as docs/testing.md says: %s',
        (section) => {
          const [runner] = section.toLowerCase().split(',') as [string];
          const config = runner === 'vitest' ? 'vitest.config.ts' : 'jest.config.js';
          writeFileSync(join(dir, config), documented(section));
          writeFileSync(
            join(dir, 'sse.spec.ts'),
            /```ts\n([^]*?)```/.exec(readFileSync('docs/testing.md', 'utf8'))![1]!,
          );
          // Jest says it on stderr, and with its exit code, which counts.
          const output = runner === 'vitest' ? run('npx', 'vitest', 'run') : run('npx', 'jest', '--json');
          expect(output).toMatch(/Tests +3 passed|"numPassedTests":3,/);
        },
        120_000,
      );
    },
  );
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Cli } from '../support/cli.js';
import { adminUrl, randomPrefix, redisUrl } from '../support/redis.js';
import { until } from '../support/until.js';
import { nestPackages, npmInstall, packPackage, PEERS, run } from './package.js';

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
const testing = readFileSync('docs/testing.md', 'utf8');
/** The code block of a section of docs/testing.md. */
const documented = (section: string) =>
  testing
    .split(`## ${section}\n`)[1]!
    .split('\n## ')[0]!
    .match(/```\w+\n([^]*?)```/)![1]!;
/** The test of an application that docs/testing.md shows. */
const SPEC = /```ts\n([^]*?)```/.exec(testing)![1]!;

/** What `nest new` of @nestjs/cli 11 generates for Jest and for its end-to-end tests. */
const NEST_NEW = {
  jest: {
    moduleFileExtensions: ['js', 'json', 'ts'],
    rootDir: 'src',
    testRegex: '.*\\.spec\\.ts$',
    transform: { '^.+\\.(t|j)s$': 'ts-jest' },
    collectCoverageFrom: ['**/*.(t|j)s'],
    coverageDirectory: '../coverage',
    testEnvironment: 'node',
  },
  e2e: {
    moduleFileExtensions: ['js', 'json', 'ts'],
    rootDir: '.',
    testEnvironment: 'node',
    testRegex: '.e2e-spec.ts$',
    transform: { '^.+\\.(t|j)s$': 'ts-jest' },
  },
};
/** Its compiler options, in its first and in its current versions. */
const COMMONJS = {
  module: 'commonjs',
  declaration: true,
  removeComments: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  allowSyntheticDefaultImports: true,
  target: 'ES2023',
  sourceMap: true,
  outDir: './dist',
  baseUrl: './',
  incremental: true,
  skipLibCheck: true,
  strictNullChecks: true,
  forceConsistentCasingInFileNames: true,
  noImplicitAny: true,
  strictBindCallApply: true,
  noFallthroughCasesInSwitch: true,
};
const NODENEXT = {
  ...COMMONJS,
  module: 'nodenext',
  moduleResolution: 'nodenext',
  resolvePackageJsonExports: true,
  esModuleInterop: true,
  isolatedModules: true,
};

const JEST = ['jest@^30', '@types/jest@^30', '@swc/core@1.16.18', '@swc/jest@^0.2.39'];

/** A test runner, its configuration from a section of docs/testing.md, and its command. */
const inFolder = (section: string, command: readonly string[], config: string) => ({
  title: section,
  cwd: '.',
  command,
  files: { 'sse.spec.ts': SPEC, [config]: documented(section) },
});
const JEST_COMMAND = ['node_modules/.bin/jest', '--json', '--runTestsByPath', 'sse.spec.ts'];

/** A project of `nest new` inside the application, whose node_modules it uses. */
const inNestNew = (project: string, compilerOptions: object, args: readonly string[]) => {
  const section = 'Jest, with Nest 11’s default ts-jest';
  const line = JSON.parse(`{${documented(section)}}`) as object;
  return {
    title: `${section}, ${project}`,
    cwd: 'new',
    command: ['../node_modules/.bin/jest', '--json', ...args],
    files: {
      'new/package.json': { name: 'new', private: true, jest: { ...NEST_NEW.jest, ...line } },
      'new/test/jest-e2e.json': { ...NEST_NEW.e2e, ...line },
      'new/tsconfig.json': { compilerOptions },
      'new/src/sse.spec.ts': SPEC,
      'new/test/app.e2e-spec.ts': SPEC,
    },
  };
};
const E2E = ['--config', 'test/jest-e2e.json'];

const APPLICATIONS = [
  {
    name: 'Nest 12 as ES modules',
    type: 'module',
    nest: '^12.0.0',
    typescript: '~6.0.3',
    compilerOptions: { ...COMPILER_OPTIONS, module: 'nodenext' },
    extra: ['vitest@^4'],
    tests: [
      inFolder('Jest, with Nest 12', JEST_COMMAND, 'jest.config.js'),
      inFolder('Vitest', ['node_modules/.bin/vitest', 'run', '--reporter=json'], 'vitest.config.ts'),
    ],
  },
  {
    name: 'Nest 11.2.0 as CommonJS',
    type: 'commonjs',
    nest: '11.2.0',
    typescript: '~5.9.0',
    compilerOptions: { ...COMPILER_OPTIONS, module: 'commonjs', moduleResolution: 'node10' },
    extra: ['ts-jest@^29'],
    tests: [
      inFolder('Jest, with Nest 11', JEST_COMMAND, 'jest.config.js'),
      inNestNew('unit tests', NODENEXT, []),
      inNestNew('end-to-end tests', NODENEXT, E2E),
      inNestNew('unit tests of an older project', COMMONJS, []),
    ],
  },
];

describe('The packed package', () => {
  const { tarball, folder } = packPackage();

  describe.each(APPLICATIONS)(
    'in $name',
    ({ name, type, nest, typescript, compilerOptions, extra, tests }) => {
      const path = name.replaceAll(/\W+/g, '-');
      const dir = folder(path, {
        'package.json': { name: 'app', private: true, type },
        // As in Nest: the tests use the same configuration as all files.
        'tsconfig.json': { compilerOptions },
        'tsconfig.build.json': { extends: './tsconfig.json', files: ['app.ts'] },
        'app.ts': readFileSync('test/pack/app.ts', 'utf8'),
      });

      beforeAll(() => {
        const parts = ['common', 'core', 'platform-express', 'platform-fastify', 'terminus', 'testing'];
        const others = [
          'prom-client@^15',
          'nest-commander@^3.21.0',
          `typescript@${typescript}`,
          '@types/node@^20',
        ];
        npmInstall(dir, tarball, ...nestPackages(nest, ...parts), ...PEERS, ...others, ...JEST, ...extra);
      }, 300_000);

      it('compiles against its types, starts on Express and on Fastify, publishes and receives', () => {
        run(dir, ['npx', 'tsc', '-p', 'tsconfig.build.json']);
        expect(run(dir, ['node', 'out/app.js']).stdout).toBe('Express works\nFastify works\n');
      });

      it.each(['nest-cli', 'nestjs-sse-channels'])('runs as %s', async (bin) => {
        const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
        const program = [join(dir, 'node_modules/.bin', bin)];
        expect(run(dir, [...program, 'sse', '--help']).stdout).toMatch(new RegExp(`^Usage: ${bin} sse `));
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
      });

      it.each(tests)('can be tested as docs/testing.md says: $title', ({ cwd, command, files }) => {
        folder(path, files);
        expect(run(join(dir, cwd), command).stdout).toContain('"numPassedTests":3,');
      });
    },
  );
});

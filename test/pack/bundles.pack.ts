import { chmodSync, copyFileSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomPrefix, redisUrl } from '../support/redis.js';
import { nestPackages, npmInstall, packPackage, PEERS, run } from './package.js';

const COMPILER_OPTIONS = {
  target: 'es2023',
  module: 'nodenext',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  outDir: 'out',
  rootDir: '.',
  types: ['node'],
};
/** Optional packages that Nest tries to load. */
const OPTIONAL = ['@nestjs/microservices', '@nestjs/websockets', 'class-transformer', 'class-validator'];
/** An ES module has no require(), by which CommonJS dependencies load the modules of Node.js. */
const BANNER = /--banner:js="(.+)"/.exec(readFileSync('docs/dependencies.md', 'utf8'))![1]!;
/** The Node.js binary contains this text if it supports single executables, unless the text is in a shared library. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Runs on each processor, unlike the package with the obvious name. */
const BUN = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64-baseline'}`;

const BUNDLES = [
  { nest: 12, bundler: 'esbuild, as an ES module', file: 'esbuild.mjs' },
  { nest: 12, bundler: 'esbuild, as CommonJS', file: 'esbuild.cjs' },
  { nest: 12, bundler: 'webpack', file: 'webpack.cjs' },
  { nest: 12, bundler: 'ncc', file: 'ncc/index.js' },
  { nest: 11, bundler: 'esbuild, as CommonJS', file: 'esbuild.cjs' },
  { nest: 11, bundler: 'webpack', file: 'webpack.cjs' },
  { nest: 11, bundler: 'ncc', file: 'ncc/index.js' },
];

describe('The packed package', () => {
  const { root, tarball, folder } = packPackage();
  const tools = folder('tools', { 'package.json': { private: true } });
  const tool = (name: string) => join(tools, 'node_modules/.bin', name);

  beforeAll(() => {
    npmInstall(
      tools,
      'esbuild@^0.28',
      'webpack@^5',
      '@vercel/ncc@^0.45',
      'postject@1.0.0-alpha.6',
      `${BUN}@^1.4`,
    );
    for (const [nest, version, type] of [
      [12, '^12.0.0', 'module'],
      [11, '11.2.0', 'commonjs'],
    ] as const) {
      const app = folder(`nest-${nest}`, {
        'package.json': { name: 'app', private: true, type },
        'tsconfig.json': { compilerOptions: COMPILER_OPTIONS, files: ['app.ts'] },
        'app.ts': readFileSync('test/pack/small-app.ts', 'utf8'),
      });
      const packages = nestPackages(version, 'common', 'core', 'platform-express');
      npmInstall(app, tarball, ...packages, ...PEERS, '@types/node@^20');
      run('.', ['npx', 'tsc', '-p', app]);
    }
  }, 300_000);

  const bundle = (app: string, file: string, target: string) => {
    const entry = 'out/app.js';
    if (file.startsWith('ncc/')) {
      run(app, [tool('ncc'), 'build', entry, '--out', join(target, '..')]);
    } else if (file.startsWith('webpack')) {
      run(app, ['node', resolve('test/pack/webpack.js'), tools, entry, target]);
    } else {
      const options = ['--bundle', '--platform=node', '--log-level=warning', `--outfile=${target}`];
      const format = file.endsWith('.mjs') ? ['--format=esm', `--banner:js=${BANNER}`] : ['--format=cjs'];
      const external = OPTIONAL.map((name) => `--external:${name}`);
      expect(run(app, [tool('esbuild'), entry, ...options, ...format, ...external]).stderr).toBe('');
    }
  };
  /** Runs it outside of the application, because it must not need node_modules. */
  const expectToWork = (command: readonly string[]) => {
    const elsewhere = folder('elsewhere', {});
    const redis = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() };
    expect(run(elsewhere, command).stdout).toBe('Memory works\n');
    expect(run(elsewhere, command, redis).stdout).toBe('Redis works\n');
  };

  it.each(BUNDLES)('publishes and sends events on Nest $nest in a bundle by $bundler', ({ nest, file }) => {
    const target = join(root, `bundles-${nest}`, file);
    bundle(join(root, `nest-${nest}`), file, target);
    expectToWork(['node', target]);
  });

  const canEmbed = readFileSync(process.execPath).includes(`${FUSE}:0`);
  (canEmbed ? it : it.skip)('publishes and sends events in a single executable application', () => {
    const main = join(root, 'executable/app.cjs');
    bundle(join(root, 'nest-11'), 'app.cjs', main);
    const dir = folder('executable', { 'sea.json': { main, output: 'app.blob' } });
    run(dir, ['node', '--experimental-sea-config', 'sea.json']);
    copyFileSync(process.execPath, join(dir, 'app'));
    chmodSync(join(dir, 'app'), 0o755);
    run(dir, [tool('postject'), 'app', 'NODE_SEA_BLOB', 'app.blob', '--sentinel-fuse', FUSE]);
    expectToWork([join(dir, 'app')]);
  });

  it('publishes and sends events in an executable by bun build --compile', () => {
    const dir = folder('bun', {});
    const external = OPTIONAL.flatMap((name) => ['--external', name]);
    const bun = join(tools, 'node_modules', BUN, 'bin/bun');
    run(join(root, 'nest-12'), [
      bun,
      'build',
      'out/app.js',
      '--compile',
      ...external,
      '--outfile',
      join(dir, 'app'),
    ]);
    expectToWork([join(dir, 'app')]);
  });
});

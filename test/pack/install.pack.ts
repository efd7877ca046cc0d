import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { nestPackages, npmInstall, packPackage, PEERS, run, runAny } from './package.js';

const NAME = 'nestjs-sse-channels';
const APP = { name: 'app', private: true, type: 'module' };

const sizeOf = (dir: string) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
const countPackages = (dir: string) => {
  const lock = JSON.parse(readFileSync(join(dir, 'package-lock.json'), 'utf8')) as { packages: object };
  return Object.keys(lock.packages).length;
};

describe('Installing the package', () => {
  const { root, tarball, folder } = packPackage();
  const nest12 = [...nestPackages('^12.0.0', 'common', 'core'), ...PEERS];
  const dir = folder('application', { 'package.json': APP });
  const measure = () => ({ packages: countPackages(dir), bytes: sizeOf(join(dir, 'node_modules')) });
  let [before, after] = [
    { packages: 0, bytes: 0 },
    { packages: 0, bytes: 0 },
  ];
  let warnings: string[];

  beforeAll(() => {
    const known = npmInstall(dir, ...nest12);
    before = measure();
    // On Node 20, Nest 12 depends on a package that requires a later version.
    warnings = npmInstall(dir, tarball).filter((line) => !known.includes(line));
    after = measure();
  });

  it('adds at most 10 packages and 4 MB to Nest 12, without a warning', () => {
    const packages = after.packages - before.packages;
    const megabytes = (after.bytes - before.bytes) / 1e6;
    process.stdout.write(`The package adds ${packages} packages and ${megabytes.toFixed(2)} MB\n`);
    expect(warnings).toEqual([]);
    expect(packages).toBeGreaterThanOrEqual(1);
    expect(packages).toBeLessThanOrEqual(10);
    expect(megabytes).toBeLessThanOrEqual(4);
  });

  it.each(['import', 'require'])('needs no optional peer to load with %s', (how) => {
    const { load, ext } = {
      import: { load: "await import('nestjs-sse-channels')", ext: 'mjs' },
      require: { load: "require('nestjs-sse-channels')", ext: 'cjs' },
    }[how]!;
    folder('application', {
      [`load.${ext}`]: `const { SseModule } = ${load};\nconsole.log(SseModule.name);\n`,
    });
    expect(run(dir, ['node', `load.${ext}`]).stdout).toBe('SseModule\n');
    expect(runAny(dir, ['npm', 'ls', 'nest-commander']).stdout).toContain('(empty)');
  });

  it.each(['nest-cli', 'nestjs-sse-channels'])(
    'makes %s report in one line that it needs nest-commander',
    (bin) => {
      const { status, stdout, stderr } = runAny(dir, [`node_modules/.bin/${bin}`, 'sse', 'publish']);
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^The command line needs nest-commander: npm install nest-commander\b.*\n$/);
    },
  );

  it('provides a command line without a project, with the command of docs/cli.md', () => {
    const [command] = /^npx --package .*$/m.exec(readFileSync('docs/cli.md', 'utf8'))!;
    const [npx, ...args] = command.split(' sse ')[0]!.split(' ') as [string, ...string[]];
    const local = args.map((arg, index) =>
      args[index - 1] === '--package' ? arg.replace(NAME, tarball) : arg,
    );
    const empty = folder('empty', {});
    const own = { npm_config_cache: join(root, 'cache') };
    expect(run(empty, [npx, '--yes', ...local, 'sse', '--help'], own).stdout).toMatch(
      /^Usage: nestjs-sse-channels sse /,
    );
  });

  it('works with pnpm, without a warning', () => {
    const strict = folder('strict', { 'package.json': APP, 'pnpm-workspace.yaml': 'packages: []\n' });
    const pnpm = [
      'npx',
      '--yes',
      'pnpm@^10',
      'add',
      '--ignore-workspace',
      '--store-dir',
      join(root, 'store'),
    ];
    const { stdout, stderr } = run(strict, [...pnpm, tarball, ...nest12], { CI: '1' });
    const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => /\bWARN\b|deprecated|peer/i.test(line));
    // Node 20 is too old for a package of Nest 12.
    expect(lines.filter((line) => !/Unsupported engine.*file-type/.test(line))).toEqual([]);
    // Its node_modules are strict: a package can load only its own dependencies.
    folder('strict', {
      'load.mjs': "import { SseModule } from 'nestjs-sse-channels';\nSseModule.forRoot();\n",
    });
    run(strict, ['node', 'load.mjs']);
  });

  it.each([
    ['required', '11.2.0', 0],
    ['all', '11.2.0', 0],
    ['required', '^12.0.0', 0],
    ['all', '^12.0.0', 0],
    ['required', '^10.0.0', 1],
  ])('resolves %s peers with --strict-peer-deps on Nest %s: exit code %i', (peers, version, expected) => {
    // A dependency of nest-commander 3.21 declares Nest 11 only.
    const commander = version === '11.2.0' ? ['nest-commander@^3.21.0'] : [];
    const optional = [...nestPackages(version, 'terminus'), 'prom-client@^15', ...commander];
    const packages = [
      ...nestPackages(version, 'common', 'core'),
      ...PEERS,
      ...(peers === 'all' ? optional : []),
    ];
    const strict = folder(`${peers}-${version}`, { 'package.json': APP });
    const npm = ['npm', 'install', '--strict-peer-deps', '--package-lock-only', '--no-audit', '--no-fund'];
    const { status, stderr } = runAny(strict, [...npm, tarball, ...packages]);
    expect([status, stderr.includes('ERESOLVE')]).toEqual([expected, expected !== 0]);
  });
});

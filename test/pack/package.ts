import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from '@jest/globals';

/** Runs a program to its end, whatever its exit code is. */
export function runAny(cwd: string, [command, ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(command!, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    // `npm run --silent`, with which the tests may have been started, would silence npm here, too.
    env: { ...process.env, npm_config_loglevel: 'notice', NO_COLOR: '1', FORCE_COLOR: '0', ...env },
  });
  return { status, stdout, stderr };
}

/** The same, but throws what the program wrote when it fails: compilers report on stdout. */
export function run(cwd: string, command: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = runAny(cwd, command, env);
  if (status !== 0) throw new Error(`${command.join(' ')} exited with ${status}:\n${stdout}${stderr}`);
  return { stdout, stderr };
}

/** Returns the warnings. */
export function npmInstall(cwd: string, ...packages: readonly string[]): string[] {
  const { stderr } = run(cwd, ['npm', 'install', '--no-audit', '--no-fund', ...packages]);
  return stderr.split('\n').filter((line) => line.startsWith('npm warn'));
}

/** Packs the package as `npm publish` does, into a folder that is removed after the tests of the file. */
export function packPackage() {
  const root = mkdtempSync(join(tmpdir(), 'sse-pack-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const { stdout } = run('.', ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', root]);
  const [pack] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];

  /** A folder below the root with these files; an object is written as JSON. */
  const folder = (name: string, files: Record<string, string | object>) => {
    const dir = join(root, name);
    mkdirSync(dir, { recursive: true });
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return dir;
  };
  return { root, tarball: join(root, pack.filename), files: pack.files.map(({ path }) => path), folder };
}

/** What `npm install` needs for Nest's packages of a version. */
export const nestPackages = (version: string, ...parts: readonly string[]): string[] =>
  parts.map((part) => {
    // The Fastify adapter has no 11.2.0 on every registry.
    const ofPart = part === 'platform-fastify' ? version.replace(/^11\.2\.0$/, '~11.2.0') : version;
    return `@nestjs/${part}@${part === 'terminus' ? `^${majorOf(version)}` : ofPart}`;
  });

const majorOf = (version: string) => /\d+/.exec(version)![0];

/** What all applications of the tests need besides Nest. */
export const PEERS = ['rxjs@^7', 'reflect-metadata@^0.2'];

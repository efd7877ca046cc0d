import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from '@jest/globals';

/** Runs a program to its end, with any exit code. */
export function runAny(cwd: string, [command, ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(command!, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    // `npm run --silent`, with which the tests may have been started, would also silence npm here.
    env: { ...process.env, npm_config_loglevel: 'notice', NO_COLOR: '1', FORCE_COLOR: '0', ...env },
  });
  return { status, stdout, stderr };
}

/** The same, but throws the output of the program if it fails: compilers report errors on stdout. */
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

/** The arguments of `npm install` for a version of Nest. */
export const nestPackages = (version: string, ...parts: readonly string[]): string[] =>
  parts.map((part) => {
    // Not every registry has version 11.2.0 of the Fastify adapter.
    const ofPart = part === 'platform-fastify' ? version.replace(/^11\.2\.0$/, '~11.2.0') : version;
    return `@nestjs/${part}@${part === 'terminus' ? `^${majorOf(version)}` : ofPart}`;
  });

const majorOf = (version: string) => /\d+/.exec(version)![0];

/** The packages that all test applications need besides Nest. */
export const PEERS = ['rxjs@^7', 'reflect-metadata@^0.2'];

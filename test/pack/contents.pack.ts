import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { brokenLinks } from '../support/links.js';
import { packPackage, run } from './package.js';

const list = (dir: string, pattern: RegExp) =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => pattern.test(name));

const FILES = [
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'bench/README.md',
  'package.json',
  ...list('docs', /\.md$/).map((name) => `docs/${name}`),
  ...list('bench/fanout', /\.svg$/).map((name) => `bench/fanout/${name}`),
  ...list('src/broker/redis', /\.lua$/).map((name) => `src/broker/redis/${name}`),
  ...list('src', /(?<!\.spec|\.d)\.ts$/).flatMap((name) =>
    ['.js', '.d.ts'].map((extension) => `dist/${name.replace(/\.ts$/, extension)}`),
  ),
];

describe('The contents of the package', () => {
  const { tarball, files } = packPackage();

  it('are the compiled modules, the documentation and the scripts, and nothing else', () => {
    expect(files.toSorted()).toEqual(FILES.toSorted());
  });

  it.each(FILES.filter((name) => name.endsWith('.md')))('have every file that %s links to', (page) => {
    const exists = (path: string) =>
      files.includes(path) || files.some((file) => file.startsWith(`${path}/`));
    expect(brokenLinks(page, exists)).toEqual([]);
  });

  it('have publish.lua where docs/wire-format.md says', () => {
    const [, path] = /in the package: `(.+?)`/.exec(readFileSync('docs/wire-format.md', 'utf8'))!;
    expect(files).toContain(path);
  });

  it('have no install scripts, and neither do the dependencies', () => {
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

  it('pass publint and arethetypeswrong', () => {
    expect(run('.', ['npx', 'publint', 'run', tarball, '--strict']).stdout).toContain('All good!');
    // The package is ESM only; CommonJS loads it with require(), which the supported versions of Node can do.
    const rules = ['--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm'];
    expect(run('.', ['npx', 'attw', tarball, ...rules]).stdout).not.toContain('❌');
  });

  it('describe the package for a registry', () => {
    expect(JSON.parse(readFileSync('package.json', 'utf8'))).toMatchObject({
      name: 'nestjs-sse-channels',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      description: expect.stringMatching(/.{50}/),
      keywords: expect.arrayContaining(['nestjs', 'sse', 'redis']),
      license: 'MIT',
      engines: { node: expect.any(String) },
    });
  });
});

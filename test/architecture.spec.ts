import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { VERSION } from '../src/integrations/cli/version.js';

/** From outer to inner layers: a file imports only from its own layer and later ones. */
const LAYERS = [
  ['index.ts'],
  ['integrations/', 'client/'],
  ['sse.module.ts'],
  ['routes/'],
  ['http/', 'formats/'],
  ['sse.service.ts'],
  ['sse.publisher.ts'],
  ['publications.ts'],
  ['streams/'],
  ['connections/'],
  ['channel/'],
  ['broker/redis/', 'broker/memory/'],
  ['broker/'],
  ['options/'],
  ['typed-channels/'],
  ['event/'],
  ['common/'],
];

const layerOf = (file: string) =>
  LAYERS.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name)),
  );

/** Files that a file imports, types included. */
function imports(file: string): string[] {
  const source = readFileSync(join('src', file), 'utf8');
  return [...source.matchAll(/from '(\.{1,2}\/.+?)\.js'/g)].map(([, path]) =>
    normalize(join(dirname(file), `${path}.ts`)),
  );
}

describe('The structure', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?<!\.spec)\.ts$/.test(file),
  );

  it.each(files)('is respected by %s, which imports only from its own and lower layers', (file) => {
    expect(layerOf(file)).toBeGreaterThanOrEqual(0);
    expect(imports(file).filter((target) => layerOf(target) < layerOf(file))).toEqual([]);
  });

  it('has no import cycles', () => {
    const importsOf = new Map(files.map((file) => [file, imports(file)]));
    const isReached = (from: string, to: string, seen = new Set<string>()): boolean =>
      importsOf.get(from)!.some((next) => {
        if (next === to) return true;
        if (seen.has(next)) return false;
        return isReached(next, to, seen.add(next));
      });
    expect(files.filter((file) => isReached(file, file))).toEqual([]);
  });

  it.each([
    ['@nestjs/terminus', 'terminus'],
    ['prom-client', 'prometheus'],
  ])('imports %s only in its own entry point', (name, entry) => {
    const users = (what: string) =>
      files.filter((file) => readFileSync(join('src', file), 'utf8').includes(what));
    expect(users(`from '${name}'`)).toEqual([`integrations/${entry}.ts`]);
    expect(users(`/${entry}.js'`)).toEqual([]);
  });

  it.each(['@nestjs/swagger', '@asyncapi/'])('describes routes and channels without %s', (name) => {
    const users = files.filter((file) => readFileSync(join('src', file), 'utf8').includes(`from '${name}`));
    expect(users).toEqual([]);
  });

  it('has no source file longer than 250 lines', () => {
    const isLong = (file: string) => readFileSync(join('src', file), 'utf8').split('\n').length > 251;
    const long = files.filter((file) => isLong(file) && file !== 'broker/redis/scripts.ts');
    expect(long).toEqual([]);
  });

  it('has the same Redis scripts in TypeScript as in the .lua files', () => {
    const dir = mkdtempSync(join(tmpdir(), 'sse-scripts-'));
    const file = join(dir, 'scripts.ts');
    execFileSync(process.execPath, ['src/broker/redis/scripts.generate.js', file]);
    const generated = readFileSync(file, 'utf8');
    rmSync(dir, { recursive: true });
    expect(readFileSync('src/broker/redis/scripts.ts', 'utf8')).toBe(generated);
  });

  it('has the version of the package in the command line', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(VERSION).toBe(version);
  });

  it('knows all options of ioredis', () => {
    const types = ['redis/RedisOptions', 'cluster/ClusterOptions', 'connectors/SentinelConnector/index'];
    const names = types.flatMap((name) => {
      const file = readFileSync(`node_modules/ioredis/built/${name}.d.ts`, 'utf8');
      const text = file.slice(file.search(/^export interface \w+Options/m));
      return [...text.matchAll(/^ {4}(\w+)\?:/gm)].map(([, option]) => option!);
    });
    expect(names.length).toBeGreaterThan(60);
    const source = readFileSync('src/options/redis-source.ts', 'utf8');
    expect(names.filter((name) => !new RegExp(`[ '(]${name}[ ']`).test(source))).toEqual([]);
  });

  it('uses HTTP only in http/ and outer layers', () => {
    const inner = files.filter((file) => layerOf(file) > layerOf('http/'));
    const users = inner.filter((file) =>
      /from 'node:https?|HttpException|IncomingMessage/.test(readFileSync(join('src', file), 'utf8')),
    );
    expect(users).toEqual([]);
  });

  it('has the tests that docs/security.md names', () => {
    const rows = readFileSync('docs/security.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| '));
    const names = rows.flatMap(
      (row) =>
        row
          .split('|')
          .at(-2)!
          .match(/(?<=`)[\w-]+(?=`)/g) ?? [],
    );
    expect(names.length).toBeGreaterThan(20);
    const missing = names.filter(
      (name) => !['spec', 'faults'].some((kind) => existsSync(`test/${name}.${kind}.ts`)),
    );
    expect(missing).toEqual([]);
  });
});

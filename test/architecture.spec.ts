import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from '@jest/globals';

/** From the outside to the inside: a file may import from its own layer and those after it. */
const LAYERS = [
  ['index.ts', 'prometheus.ts', 'terminus.ts'],
  ['cli/', 'testing/'],
  ['sse.module.ts', 'sse.module-definition.ts', 'figures.ts'],
  ['http/'],
  ['sse.service.ts'],
  ['access/'],
  ['channel/'],
  ['broker/'],
  ['resolve-options.ts'],
  ['redis-source.ts'],
  ['event.ts', 'data.ts', 'objects.ts', 'limiter.ts', 'sse.options.ts', 'sse.metrics.ts', 'sse.errors.ts'],
];

const layerOf = (file: string) =>
  LAYERS.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name)),
  );

describe('The structure', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?<!\.spec)\.ts$/.test(file),
  );

  it.each(files)('is kept by %s, which depends one way only', (file) => {
    const source = readFileSync(join('src', file), 'utf8');
    const imports = [...source.matchAll(/from '(\.{1,2}\/.+?)\.js'/g)].map(([, path]) =>
      normalize(join(dirname(file), `${path}.ts`)),
    );
    expect(layerOf(file)).toBeGreaterThanOrEqual(0);
    expect(imports.filter((target) => layerOf(target) < layerOf(file))).toEqual([]);
  });

  it.each([
    ['@nestjs/terminus', 'terminus'],
    ['prom-client', 'prometheus'],
  ])('leaves %s to an entry point of its own', (name, entry) => {
    const users = (what: string) =>
      files.filter((file) => readFileSync(join('src', file), 'utf8').includes(`from '${what}'`));
    expect(users(name)).toEqual([`${entry}.ts`]);
    expect(users(`./${entry}.js`)).toEqual([]);
  });

  it('keeps HTTP out of everything but http/', () => {
    const inner = files.filter((file) => layerOf(file) > layerOf('http/'));
    const users = inner.filter((file) =>
      /from 'node:https?|HttpException|IncomingMessage/.test(readFileSync(join('src', file), 'utf8')),
    );
    expect(users).toEqual([]);
  });
});

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { nestPackages, npmInstall, packPackage, PEERS, run } from './package.js';

/** The entry points that the application does not use. */
const ENTRIES = `
import { SseCliModule, stderrLogger } from 'nestjs-sse-channels/cli';
import { asyncApi } from 'nestjs-sse-channels/asyncapi';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { ApiSse, describeEvents } from 'nestjs-sse-channels/swagger';
import { SseHealthIndicator } from 'nestjs-sse-channels/terminus';
import { connect, type SseSource } from 'nestjs-sse-channels/client';
import { useSse, useSseSource, useSseState } from 'nestjs-sse-channels/client/react';
import { fromSse } from 'nestjs-sse-channels/client/rxjs';
import { tabs } from 'nestjs-sse-channels/client/tabs';
import { defineChannel, type } from 'nestjs-sse-channels';
const orders = defineChannel('order:{id}', { paid: type<{ at: Date }>() });
export const typed = connect<typeof orders>('http://localhost:3000/events').on('paid', ({ at }) => at.slice(0, 10));
export const entries = [ApiSse, asyncApi, describeEvents, SseCliModule, stderrLogger, PrometheusMetrics, SseHealthIndicator];
export const source: SseSource = connect('http://localhost:3000/events', { share: tabs('user-7') });
export const adapters = [fromSse, useSse, useSseSource, useSseState];
`;
const COMPILER_OPTIONS = {
  target: 'es2022',
  lib: ['es2023'],
  types: ['node'],
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  esModuleInterop: true,
  noEmit: true,
};
const SETTINGS: Record<string, object> = {
  node10: { module: 'commonjs', moduleResolution: 'node10' },
  node16: { module: 'node16' },
  nodenext: { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  'node10, ignored': { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
  'bundler, commonjs': { module: 'commonjs', moduleResolution: 'bundler' },
};

/** TypeScript asks a CommonJS project to load an ES module by import(). */
const ESM = 'TS1479';
/** It requires `ignoreDeprecations`. */
const DEPRECATED = 'TS5107';
const OK = 'compiles';

/** The result of each setting, for a project of type `module` and of type `commonjs`. */
const upTo57 = {
  module: { node10: OK, node16: OK, nodenext: OK, bundler: OK },
  commonjs: { node10: OK, node16: ESM, nodenext: ESM, bundler: OK },
};
const from58 = { ...upTo57, commonjs: { ...upTo57.commonjs, nodenext: OK } };
const more60 = { node10: DEPRECATED, 'node10, ignored': OK, 'bundler, commonjs': OK };
const MATRIX = [
  ['5.6', upTo57],
  ['5.7', upTo57],
  ['5.8', from58],
  ['5.9', from58],
  ['6.0', { module: { ...from58.module, ...more60 }, commonjs: { ...from58.commonjs, ...more60 } }],
] as const;

describe('The types of the packed package', () => {
  const { root, tarball, folder } = packPackage();
  const compilers = folder('compilers', { 'package.json': { private: true } });

  beforeAll(() => {
    npmInstall(compilers, ...MATRIX.map(([version]) => `typescript-${version}@npm:typescript@~${version}.0`));
    for (const [major, version] of [
      [11, '11.2.0'],
      [12, '^12.0.0'],
    ] as const) {
      const name = `nest-${major}`;
      const dir = folder(name, { 'package.json': { private: true } });
      for (const type of ['module', 'commonjs']) {
        folder(join(name, type), {
          'package.json': { type },
          'app.ts': readFileSync('test/pack/small-app.ts', 'utf8'),
          'entries.ts': ENTRIES,
        });
      }
      const packages = nestPackages(version, 'common', 'core', 'platform-express', 'terminus');
      const optional = ['prom-client@^15', 'nest-commander@^3.21.0', '@types/node@^20', '@types/react@^19'];
      npmInstall(dir, tarball, ...packages, ...PEERS, ...optional);
    }
  }, 300_000);

  it.each(MATRIX)(
    'compile with TypeScript %s as README.md says',
    (version, { module, commonjs }) => {
      const cases = [11, 12].flatMap((nest) =>
        Object.entries({ module, commonjs }).flatMap(([type, results]) =>
          Object.entries(results).map(([setting, result]) => ({ nest, type, setting, result })),
        ),
      );
      const projects = cases.map(({ nest, type, setting }) => ({
        dir: join(root, `nest-${nest}`, type),
        compilerOptions: { ...COMPILER_OPTIONS, ...SETTINGS[setting] },
      }));
      const typescript = join(compilers, `node_modules/typescript-${version}`);
      const { stdout } = run('.', [
        'node',
        resolve('test/pack/compile.js'),
        typescript,
        JSON.stringify(projects),
      ]);
      const results = JSON.parse(stdout) as string[];
      expect(cases.map((one, index) => ({ ...one, result: results[index] }))).toEqual(cases);
    },
    180_000,
  );
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from './compile.js';

/** The TypeScript snippets of a documentation page, type-checked and compiled, with the Redis of the test. */
export function compiled(page: string): string[] {
  mkdirSync('node_modules/.cache', { recursive: true });
  const dir = mkdtempSync(join('node_modules/.cache', 'programs-'));
  const snippets = [...readFileSync(page, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)];
  snippets.forEach(([, code], n) => writeFileSync(join(dir, `${n}.ts`), code!));
  const paths = { 'nestjs-sse-channels': ['../../../dist/index.d.ts'] };
  const compilerOptions = { noEmit: false, rootDir: '.', paths };
  const config = { extends: '../../../tsconfig.json', compilerOptions, include: ['*.ts'] };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  try {
    compile(dir);
    return snippets.map((_, n) =>
      readFileSync(join(dir, `${n}.js`), 'utf8').replace(/forRoot\('.*?'\)/, 'forRoot(process.env.REDIS)'),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
}

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll } from '@jest/globals';
import { type Options, transformSync } from '@swc/core';

export const recipePages = readdirSync('docs/recipes').filter((name) => name.endsWith('.md'));

/** The snippets of a page in one language, in order. @param page of the recipes, or `../streams.md` */
export function snippetsOf(page: string, language: string): string[] {
  const text = readFileSync(join('docs/recipes', page), 'utf8');
  return Array.from(
    text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm')),
    ([, code]) => code!,
  );
}

mkdirSync('node_modules/.cache', { recursive: true });
const dir = mkdtempSync(join('node_modules/.cache', 'recipes-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** As Jest compiles the sources. */
const OPTIONS: Options = {
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
  },
  module: { type: 'commonjs' },
};

/** The first or the nth TypeScript snippet of a page, as a module of this process. */
export async function moduleOf<T>(page: string, n = 0): Promise<T> {
  const file = join(process.cwd(), dir, `${basename(page)}-${n}.cjs`);
  writeFileSync(file, transformSync(snippetsOf(page, 'ts')[n]!, OPTIONS).code);
  return (await import(file)) as T;
}

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { compile } from '../support/compile.js';
import { brokenLinks } from '../support/links.js';
import { recipePages, snippetsOf } from '../support/recipes.js';

const HEADINGS = ['## Server', '## Client', '## What is guaranteed, and what to watch for'];

describe('The recipes', () => {
  it.each(recipePages)('have one short page about %s, without a broken link', (page) => {
    const lines = readFileSync(`docs/recipes/${page}`, 'utf8').trimEnd().split('\n');
    // One has a component of React.
    expect(lines.length).toBeLessThanOrEqual(page === 'ai-chat.md' ? 110 : 60);
    expect(lines.filter((line) => line.startsWith('## '))).toEqual(HEADINGS);
    expect(lines[2]).toMatch(/^Use this when /);
    expect(brokenLinks(`docs/recipes/${page}`, existsSync)).toEqual([]);
  });

  it('compile', () => {
    mkdirSync('node_modules/.cache', { recursive: true });
    const dir = mkdtempSync(join('node_modules/.cache', 'recipes-'));
    const dist = '../../../dist';
    const paths = {
      'nestjs-sse-channels': [`${dist}/index.d.ts`],
      'nestjs-sse-channels/client': [`${dist}/client/index.d.ts`],
      'nestjs-sse-channels/client/*': [`${dist}/client/*.d.ts`],
    };
    const compilerOptions = { paths, jsx: 'react-jsx' };
    const include = ['*.ts', '*.tsx'];
    const tsconfig = { extends: '../../../tsconfig.json', compilerOptions, include };
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(tsconfig));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    for (const page of [...recipePages, '../client.md']) {
      for (const language of ['ts', 'tsx']) {
        for (const [n, code] of snippetsOf(page, language).entries()) {
          // Another snippet imports a file that has its name in the first line.
          const [, named] = /^\/\/ (\S+\.ts)\n/.exec(code) ?? [];
          writeFileSync(join(dir, named ?? `${basename(page)}-${n}.${language}`), code);
        }
      }
    }
    try {
      compile(dir);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('are listed in the index of the documentation', () => {
    const index = readFileSync('docs/README.md', 'utf8');
    expect(recipePages.filter((page) => !index.includes(`](recipes/${page})`))).toEqual([]);
  });
});

/**
 * Writes `scripts.ts`, or the file that is named, from the `.lua` files beside it, without their comments: as strings, the
 * scripts are part of any bundle. `npm run build` runs it, and `architecture.spec` holds both equal.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dir = fileURLToPath(new URL('.', import.meta.url));

const constants = readdirSync(dir)
  .filter((name) => name.endsWith('.lua'))
  .toSorted()
  .map((name) => {
    const lua = readFileSync(join(dir, name), 'utf8').replaceAll(/^\s*(--.*)?\n/gm, '');
    if (/[`\\]|\$\{/.test(lua)) throw new Error(`A template literal would change a character of ${name}`);
    return `export const ${name.replace('.lua', '').replaceAll('-', '_').toUpperCase()} = \`${lua}\`;\n`;
  });
const text = [
  '/* oxlint-disable max-lines */\n// Generated from the .lua files by scripts.generate.js: change those.\n',
  ...constants,
].join('\n');

writeFileSync(process.argv[2] ?? join(dir, 'scripts.ts'), text);

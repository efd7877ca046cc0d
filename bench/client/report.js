/** Markdown tables, and the section of `bench/README.md` that has them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';

const README = 'bench/README.md';
const RESULTS = 'bench/client/results.json';
const RULES = { left: '---', right: '---:' };

/** @param aligned `left` or `right` for each column; without it, left */
export function table(heads, aligned, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rules = heads.map((_, n) => RULES[aligned[n] ?? 'left']);
  return [line(heads), line(rules), ...rows.map(line)].join('\n');
}

/** The version of this package or of one that is installed. */
export function versionOf(pkg) {
  const own = JSON.parse(readFileSync('package.json', 'utf8'));
  if (own.name === pkg) return own.version;
  return JSON.parse(readFileSync(join('node_modules', pkg, 'package.json'), 'utf8')).version;
}

/** @param parts the text of each part that was measured; the others stay */
export async function writeReport(parts) {
  let text = readFileSync(README, 'utf8');
  for (const [name, part] of Object.entries(parts)) {
    const markers = new RegExp(`(<!-- client ${name} -->)[^]*(<!-- /client ${name} -->)`);
    if (!markers.test(text)) throw new Error(`${README} has no place for ${name}`);
    text = text.replace(markers, (_, begin, end) => `${begin}\n\n${part}\n\n${end}`);
  }
  writeFileSync(README, await format(text, { ...(await resolveConfig(README)), filepath: README }));
}

/** The cells of each case that was measured. */
export const readResults = () => (existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {});

export const writeResults = (results) => writeFileSync(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);

/**
 * Removes one guard at a time from the sources, and shows which test fails.
 *
 *   npm run mutants -- [--only <part of a guard or a file>] [--list]
 *
 * `--list` only checks that every guard and test of the list exists. The program works on a copy of the working tree, runs one
 * test file at a time, and exits with 1 if no test fails for a guard. All guards take about half an hour on two cores.
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { MUTANTS } from './mutants.js';
import { WorkingCopy } from './working-copy.js';

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, list: { type: 'boolean' } },
});
const say = (text) => process.stdout.write(`${text}\n`);
const secondsSince = (start) => `${((performance.now() - start) / 1_000).toFixed(1)} s`;

const all = MUTANTS.filter(({ guard, file }) => `${file}: ${guard}`.includes(values.only));
if (all.length === 0) throw new Error(`No mutant matches ${values.only}`);

const copy = new WorkingCopy();
process.on('exit', () => copy.remove());
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const wrong = all.flatMap((mutant) => copy.check(mutant) ?? []);
if (wrong.length > 0) throw new Error(wrong.join('\n'));
say(`${all.length} mutants match the sources`);
if (values.list) process.exit();

/** The tests and their time without a mutant. A mutant that takes much longer hangs. */
const baseline = new Map();
const files = new Set(all.flatMap(({ tests }) => tests.map(({ file }) => file)));
for (const file of files) {
  const start = performance.now();
  const { failed, passed } = await copy.run({ file }, 300_000);
  if (failed) throw new Error(`${file} fails without a mutant: ${failed}`);
  baseline.set(file, { passed, ms: performance.now() - start });
  say(`${file}: ${passed.length} tests in ${secondsSince(start)}`);
}
for (const { guard, tests } of all) {
  for (const { file, name = '' } of tests) {
    const isThere = baseline.get(file).passed.some((fullName) => fullName.includes(name));
    if (!isThere) throw new Error(`${guard}: there is no test with “${name}” in ${file}`);
  }
}

async function firstToNotice({ tests }) {
  for (const test of tests) {
    const { failed } = await copy.run(test, 30_000 + 2 * baseline.get(test.file).ms);
    if (failed) return { file: test.file, failed };
  }
  return undefined;
}

const results = [];
for (const mutant of all) {
  const start = performance.now();
  const restore = copy.apply(mutant);
  const caught = await firstToNotice(mutant);
  restore();
  results.push({ ...mutant, caught });
  const outcome = caught ? `caught by “${caught.failed}”` : 'SURVIVED';
  const count = `[${results.length}/${all.length}]`;
  say(`${count} ${mutant.file}: ${mutant.guard}: ${outcome} (${secondsSince(start)})`);
}

const cell = (text) => text.replaceAll('|', '\\|');
const rows = results.map(({ guard, file, caught }) => {
  const by = caught ? `\`${caught.file}\`: ${cell(caught.failed)}` : '**nothing**';
  return `| ${cell(guard)} | \`${file}\` | ${by} |`;
});
say(['', '| Guard | File | Noticed by |', '| --- | --- | --- |', ...rows].join('\n'));
process.exitCode = results.every(({ caught }) => caught) ? 0 : 1;

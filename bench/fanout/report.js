/** Writes tables into `bench/README.md`, and charts beside this file. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { spawnSync } from 'node:child_process';
import { format, resolveConfig } from 'prettier';
import { median } from '../redis.js';
import { chartOf } from './chart.js';
import { PROJECT, RIVALS } from './rivals.js';
import { SCENARIOS } from './scenarios.js';

const README = 'bench/README.md';
const RESULTS = 'bench/fanout/results.json';
const MARKERS = /(<!-- fanout -->)[^]*(<!-- \/fanout -->)/;
const FAULTS = ['lost', 'repeated', 'disordered', 'closed'];

const inWords = (value, digits) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function cellOf(runs, { key, digits }) {
  const values = runs.map((run) => run[key]).filter(Number.isFinite);
  if (values.length === 0) return '–';
  const { median: middle, min, max } = median(values);
  return `${inWords(middle, digits)} (${inWords(min, digits)}–${inWords(max, digits)})`;
}

/** The median of the ratios of each round: other load of a round affects both of its values. */
function ratioOf(runs, project, { key }) {
  const ratios = runs.map((run, round) => run[key] / project[round]?.[key]).filter(Number.isFinite);
  return ratios.length === 0 ? '–' : `${inWords(median(ratios).median, 2)}×`;
}

/** Faults, summed over all rounds. */
function faultsOf(runs) {
  const sums = FAULTS.map((key) => [key, runs.reduce((sum, run) => sum + (run[key] ?? 0), 0)]);
  const failed = runs.filter((run) => run.failed !== undefined).length;
  const words = [...sums, ['failed', failed]]
    .filter(([, sum]) => sum > 0)
    .map(([key, sum]) => `${inWords(sum, 0)} ${key}`);
  return words.length === 0 ? 'none' : `**${words.join(', ')}**`;
}

export function tableOf(scenario, runs) {
  const { columns } = SCENARIOS[scenario];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const heads = columns.flatMap(({ title, ratio }) => (ratio ? [title, 'ratio'] : [title]));
  const rows = Object.entries(runs).map(([name, measured]) => [
    RIVALS[name].title,
    ...columns.flatMap((column) => {
      const cell = cellOf(measured, column);
      return column.ratio ? [cell, ratioOf(measured, runs[PROJECT], column)] : [cell];
    }),
    faultsOf(measured),
  ]);
  const rule = ['---', ...heads.map(() => '---:'), '---'];
  return [['', ...heads, 'Faults'], rule, ...rows].map(line).join('\n');
}

/** Scenarios that did not run keep their earlier results. */
export async function report(results, { rounds }) {
  const style = await resolveConfig(README);
  const redis = /v=(\S+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout)[1];
  const machine = `${availableParallelism()} cores, Node.js ${process.versions.node}, Redis ${redis} on the same machine; medians of ${rounds} rounds (range).`;
  const all = readResults();
  for (const [scenario, runs] of Object.entries(results)) all[scenario] = { machine, runs };
  writeFileSync(RESULTS, await format(JSON.stringify(all), { ...style, parser: 'json' }));
  const sections = Object.keys(SCENARIOS)
    .filter((scenario) => scenario in all)
    .map((scenario) => {
      const { title, columns } = SCENARIOS[scenario];
      const { machine: where, runs } = all[scenario];
      writeFileSync(`bench/fanout/${scenario}.svg`, chartOf(title, columns[0], runs));
      return `### ${title}\n\n${where}\n\n![${title}](fanout/${scenario}.svg)\n\n${tableOf(scenario, runs)}`;
    });
  const text = readFileSync(README, 'utf8').replace(MARKERS, (_, start, end) =>
    [start, ...sections, end].join('\n\n'),
  );
  writeFileSync(README, await format(text, { ...style, parser: 'markdown' }));
}

function readResults() {
  try {
    return JSON.parse(readFileSync(RESULTS, 'utf8'));
  } catch {
    return {};
  }
}

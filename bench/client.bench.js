/**
 * Clients in browsers: their sizes, and what each does with servers that misbehave, in Chromium.
 *
 *   npm run build && node bench/client.bench.js [sizes] [servers] [--only <part of a case>] [--write]
 *
 * `servers` takes about 15 minutes. Each client is used as the basic example of its README does. It runs in an empty page, with a
 * server of its own that sends a numbered event every 200 ms and resumes by the last event id. The table has only what the program
 * observed: requests, delivered events, times. `--write` updates the tables in `bench/README.md`, and keeps the results of each case,
 * so that `--only` measures some cases anew.
 */
import { parseArgs } from 'node:util';
import { CASES } from './client/cases.js';
import { CLIENTS, launch, pageScript } from './client/clients.js';
import { observe } from './client/observe.js';
import { outcomeOf } from './client/outcome.js';
import { readResults, table, versionOf, writeReport, writeResults } from './client/report.js';
import { sizes } from './client/sizes.js';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' }, write: { type: 'boolean', default: false } },
});
const isChosen = (part) => positionals.length === 0 || positionals.includes(part);
const say = (text) => process.stdout.write(`${text}\n`);
const progress = (text) => process.stderr.write(`${text}\n`);
const node = `Node.js ${process.versions.node}`;

async function compareSizes() {
  const rows = await sizes();
  return [
    `Bundled by esbuild ${versionOf('esbuild')} for browsers, minified, and compressed by \`gzip -9\`:\n`,
    table(['Package', 'Version', 'Bytes', ''], ['left', 'left', 'right', 'left'], rows),
  ].join('\n');
}

/** Runs the chosen cases. The table has the earlier results of the others. */
async function compareOutcomes() {
  const script = await pageScript();
  const { context, version, close } = await launch();
  const results = readResults();
  try {
    for (const each of CASES.filter(({ name }) => name.includes(args.only))) {
      const cells = [];
      for (const client of CLIENTS) {
        const seen = await observe({ context, script, client: client.id, ...each });
        cells.push(outcomeOf(seen, each));
        progress(`${each.name}: ${client.name}: ${cells.at(-1)}`);
      }
      results[each.name] = cells;
    }
  } finally {
    close();
  }
  if (args.write) writeResults(results);
  const rows = CASES.filter(({ name }) => results[name]);
  const versions = CLIENTS.filter(({ pkg }) => pkg).map(({ pkg }) => `${pkg} ${versionOf(pkg)}`);
  return [
    `${[`Chromium ${version}`, node, ...versions].join(', ')}; one run of each.\n`,
    table(
      ['Server', ...CLIENTS.map(({ name }) => name)],
      [],
      rows.map(({ name, title = name }) => [title, ...results[name]]),
    ),
  ].join('\n');
}

const parts = {};
if (isChosen('sizes')) parts.sizes = await compareSizes();
if (isChosen('servers')) parts.servers = await compareOutcomes();
for (const part of Object.values(parts)) say(`\n${part}`);
if (args.write) await writeReport(parts);

/**
 * Compares the project with alternatives; `bench/README.md` describes the method.
 *
 *   npm run build && npm run bench -- [--rounds 5] [--only turn,burst] [--servers write,nchan] [--quick] [--write]
 *
 * `--profile <folder>` keeps a CPU profile of each server process.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, startRedis } from '../redis.js';
import { absence, PROJECT, RIVALS } from './rivals.js';

const { values: args } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    servers: { type: 'string' },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
});
const rounds = Number(args.rounds);
if (args.write && (args.quick || args.servers || !(rounds >= 5))) {
  throw new Error('--write is for whole measurements: no --quick, no --servers, at least 5 rounds');
}

const folder = new URL('.', import.meta.url);
if (!existsSync(new URL('node_modules', folder))) spawnSync('npm', ['ci'], { cwd: folder, stdio: 'inherit' });
const { measure, SCENARIOS } = await import('./scenarios.js');
const { report, tableOf } = await import('./report.js');

const progress = (text) => process.stderr.write(`${text}\n`);

/** Names that begin with one of the given prefixes. */
function chosen(all, asked) {
  const beginnings = asked?.split(',') ?? [''];
  const names = Object.keys(all).filter((name) => beginnings.some((beginning) => name.startsWith(beginning)));
  if (names.length === 0) throw new Error(`None of ${Object.keys(all).join(', ')}: ${asked}`);
  return names;
}

const absent = Object.fromEntries(
  Object.keys(RIVALS)
    .map((name) => [name, absence(name)])
    .filter(([, reason]) => reason !== undefined),
);
for (const [name, reason] of Object.entries(absent)) progress(`${name} is skipped: ${reason}`);
// Ratios need the project.
const servers = [...new Set([PROJECT, ...chosen(RIVALS, args.servers)])].filter((name) => !(name in absent));

const redis = await startRedis(16_383);
const results = {};
const file = join(tmpdir(), 'fanout.json');

async function play(scenario) {
  const { servers: beginnings = [''] } = SCENARIOS[scenario];
  const taking = servers
    .filter((name) => beginnings.some((beginning) => name.startsWith(beginning)))
    .filter((name) => RIVALS[name].only?.includes(scenario) ?? true);
  const runs = Object.fromEntries(taking.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    // One after the other within a round, so that other load affects all servers.
    for (const name of taking) {
      const values = await measure(scenario, name, { redis, ...args }).catch((error) => {
        progress(error.stack);
        return { failed: error.message.split('\n')[0] };
      });
      runs[name].push(values);
      progress(`${scenario} ${round}/${rounds} ${name}: ${JSON.stringify(values, rounded)}`);
      if (values.client > values.cpu) progress('  the clients cost more CPU than this server');
    }
  }
  return runs;
}

const rounded = (_, value) => (typeof value === 'number' ? Math.round(value * 100) / 100 : value);

try {
  for (const scenario of chosen(SCENARIOS, args.only)) {
    results[scenario] = await play(scenario);
    say(`\n### ${SCENARIOS[scenario].title}\n\n${tableOf(scenario, results[scenario])}`);
    writeFileSync(file, JSON.stringify(results));
  }
} finally {
  redis.stop();
}
progress(`All results: ${file}`);
if (args.write) await report(results, { rounds });

/**
 * A long run of the rig at full size, with 2 nodes. No fault ends the first node, so that its memory can be compared. Prints a
 * Markdown report and exits non-zero on any violation.
 *
 *   npm run soak -- --minutes 30 --seed 7 [--lossy] [--clients 2000] [--channels 200] [--rate 500] [--every 20]
 *
 * or, with Redis stopped for this many minutes, and no other fault:
 *
 *   npm run soak -- --outage 60 [--seed 7] [--clients 2000] [--channels 200]
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const DEFAULTS = { minutes: 30, seed: 7, clients: 2_000, channels: 200, rate: 500, every: 20, outage: 0 };

const numbers = Object.keys(DEFAULTS).map((name) => [name, { type: 'string' }]);
const { values } = parseArgs({ options: { ...Object.fromEntries(numbers), lossy: { type: 'boolean' } } });
const soak = { ...DEFAULTS };
for (const [name, value] of Object.entries(values)) soak[name] = Number(value);
const env = { ...process.env, SOAK: JSON.stringify(soak) };
const file = soak.outage > 0 ? 'outage' : 'soak';
const args = ['jest', '--runInBand', '--testMatch', `**/test/chaos/${file}.ts`];
process.exitCode = spawnSync('npx', args, { env, stdio: 'inherit' }).status ?? 1;

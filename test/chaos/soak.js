/**
 * The rig for longer: half of the time without loss, half of it with.
 *
 *   npm run soak -- --minutes 20 --seed 7
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
});
const SOAK_SECONDS = `${(Number(values.minutes) * 60) / 2}`;
const env = { ...process.env, SOAK_SECONDS, SOAK_SEED: values.seed };
process.exitCode = spawnSync('npx', ['jest', 'test/chaos'], { env, stdio: 'inherit' }).status ?? 1;

import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { check } from './check.js';
import { disturb, type Fault, FAULTS, LOSSY_FAULTS } from './faults.js';
import { Rig } from './rig.js';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 40);
const SEED = Number(process.env.SOAK_SEED ?? 1);
const say = (text: string) => process.env.SOAK_SECONDS && process.stdout.write(`${text}\n`);

describe('Under faults', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it.each<[what: string, faults: Record<string, Fault>, lossy: boolean]>([
    ['nothing is lost or repeated, and nobody is reset, where Redis keeps what it has', FAULTS, false],
    ['what Redis has lost is said', { ...LOSSY_FAULTS, ...FAULTS }, true],
  ])(
    '%s',
    async (_, faults, lossy) => {
      const rig = new Rig(SEED, ['--appendonly', 'yes', '--appendfsync', 'always']);
      try {
        await rig.start();
        const happened = await disturb(rig, { faults, ms: SECONDS * 1_000, tell: say });
        await rig.settle();
        const report = await check(rig, lossy);
        say(`seed ${SEED}: ${JSON.stringify({ ...report, happened: Object.fromEntries(happened) })}`);
        expect(report.violations).toEqual([]);
        expect(report.delivered).toBeGreaterThan(1_000);
      } finally {
        await rig.stop();
      }
    },
    SECONDS * 1_000 + 180_000,
  );
});

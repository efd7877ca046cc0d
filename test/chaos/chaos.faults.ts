import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { check } from './check.js';
import { disturb, type Fault, FAULTS, LOSSY_FAULTS } from './faults.js';
import { Rig } from './rig.js';

const SECONDS = 60;
const SEED = 1;

describe('Under faults', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('there is a row of docs/reliability.md for each, in order', () => {
    const [, keeps, loses] = readFileSync('docs/reliability.md', 'utf8').split(/^## Redis /m);
    const rows = (text: string) => [...text.matchAll(/^\| (?!Fault|-)(.*?) +\|/gm)].map(([, fault]) => fault);
    expect(rows(keeps!)).toEqual(Object.keys(FAULTS));
    expect(rows(loses!.split('## ')[0]!)).toEqual(Object.keys(LOSSY_FAULTS));
  });

  it.each<[what: string, faults: Record<string, Fault>]>([
    ['nothing is lost or repeated, and nobody is reset, where Redis keeps what it has', FAULTS],
    ['what Redis has lost is said, once for each loss', { ...LOSSY_FAULTS, ...FAULTS }],
  ])(
    '%s',
    async (_, faults) => {
      const rig = new Rig(SEED);
      try {
        await rig.start();
        await disturb(rig, { faults, ms: SECONDS * 1_000, each: true });
        await rig.settle();
        const report = await check(rig);
        expect(report.violations).toEqual([]);
        expect(report.sum('delivered')).toBeGreaterThan(1_000);
        await rig.leave();
        expect(rig.problems).toEqual([]);
      } finally {
        await rig.stop();
      }
    },
    SECONDS * 1_000 + 180_000,
  );
});

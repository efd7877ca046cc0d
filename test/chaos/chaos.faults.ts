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

  it('docs/reliability.md has a row for each fault, in order', () => {
    const [, keeps, loses] = readFileSync('docs/reliability.md', 'utf8').split(/^## Redis /m);
    const rows = (text: string) => [...text.matchAll(/^\| (?!Fault|-)(.*?) +\|/gm)].map(([, fault]) => fault);
    expect(rows(keeps!)).toEqual(Object.keys(FAULTS));
    expect(rows(loses!.split('## ')[0]!)).toEqual(Object.keys(LOSSY_FAULTS));
  });

  it.each<[what: string, faults: Record<string, Fault>]>([
    ['no client loses, repeats or resets while Redis keeps its data', FAULTS],
    ['clients get one reset for each loss of Redis', { ...LOSSY_FAULTS, ...FAULTS }],
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
    SECONDS * 1_000 + 540_000,
  );
});

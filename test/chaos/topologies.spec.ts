import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Sentinels } from '../support/sentinel.js';
import { until } from '../support/until.js';
import { check } from './check.js';
import { disturb, type Fault } from './faults.js';
import { Rig } from './rig.js';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 20);
const SEED = Number(process.env.SOAK_SEED ?? 1);
const say = (text: string) => process.env.SOAK_SECONDS && process.stdout.write(`${text}\n`);

/** Each may lose what the old master has confirmed and the new one has not got. */
const SENTINEL_FAULTS: Record<string, Fault> = {
  'an operator lets a replica take over': async (rig) => {
    rig.lose(...rig.channels);
    await rig.sentinels!.failOver();
  },
  'the master hangs, and goes on when another one has taken over': async (rig) => {
    rig.lose(...rig.channels);
    const sentinels = rig.sentinels!;
    const master = await sentinels.master();
    master.signal('SIGSTOP');
    await sentinels.moved(master);
    await sleep(rig.random.between(0, 6_000));
    master.signal('SIGCONT');
    await sentinels.settled();
  },
  'the master is killed, and comes back': async (rig) => {
    rig.lose(...rig.channels);
    const sentinels = rig.sentinels!;
    const master = await sentinels.master();
    await master.kill();
    await sentinels.moved(master);
    await master.start();
    await sentinels.settled();
  },
};

describe('Behind Sentinel', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('there is a row of docs/reliability.md for each fault, in order', () => {
    const [, section] = readFileSync('docs/reliability.md', 'utf8').split('## Behind Sentinel\n');
    const rows = [...section!.split('\n## ')[0]!.matchAll(/^\| (?!Fault|-)(.*?) +\|/gm)];
    expect(rows.map(([, fault]) => fault)).toEqual(Object.keys(SENTINEL_FAULTS));
  });

  it(
    'clients miss nothing that Redis still has, whichever way the master is replaced',
    async () => {
      const rig = new Rig(SEED, { sentinels: await Sentinels.start() });
      try {
        // What an old master has sent, and lost, is told from what was then published again by its cursor.
        await rig.start({ rate: 100, ownIds: 0 });
        await until(() => rig.clients.every(({ deliveries }) => deliveries.length > 1));
        const happened = await disturb(rig, {
          faults: SENTINEL_FAULTS,
          ms: SECONDS * 1_000,
          tell: say,
          pause: () => sleep(rig.random.between(2_000, 4_000)),
        });
        await rig.settle();
        const report = await check(rig);
        say(`Seed ${SEED}\n\n${report.table(happened)}`);
        expect(report.violations).toEqual([]);
        expect(report.sum('delivered')).toBeGreaterThan(1_000);
        expect(rig.problems).toEqual([]);
      } finally {
        await rig.stop();
      }
    },
    SECONDS * 1_000 + 180_000,
  );
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { check } from './check.js';
import { disturb, type Fault, FAULTS, LOSSY_FAULTS } from './faults.js';
import { Measures } from './measures.js';
import { Rig } from './rig.js';

/** The arguments of `soak.js`. */
const { minutes, seed, lossy, clients, channels, rate, every } = JSON.parse(process.env.SOAK!) as Record<
  string,
  number
>;
const MS = minutes! * 60_000;
const SOAK_FAULTS: Record<string, Fault> = {
  ...FAULTS,
  ...(lossy && LOSSY_FAULTS),
  'a node shuts down and another node starts': async (rig) => {
    const node = rig.mortal();
    // Clients connect to both until the first has ended.
    await Promise.all([node.end().catch((error) => rig.problems.push(String(error))), rig.startNode()]);
    rig.forget(node);
  },
};
const say = (text: string) => process.stdout.write(`${text}\n`);

describe('A long run', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it(
    'the invariants hold, memory stays flat, and all connections close',
    async () => {
      const rig = new Rig(seed!, { channels: Array.from({ length: channels! }, (_, n) => `channel-${n}`) });
      const note = (error: unknown) => rig.problems.push(String(error));
      try {
        await rig.start({ spared: 1, clients, rate, stayMs: [30_000, 90_000] });
        const measures = new Measures(rig, every! * 1_000);
        const happened = await disturb(rig, {
          faults: SOAK_FAULTS,
          ms: MS,
          tell: say,
          pause: measures.pause,
        });
        await rig.settle().catch(note);
        const report = await check(rig);
        await rig.leave().catch(note);
        const measured = await measures.report();
        const failures = [...report.violations, ...measures.failures, ...rig.problems];
        say(
          [
            `Seed ${seed}: ${minutes} minutes, 2 nodes, ${clients} clients, ${channels} channels, ${rate} publications/s, a fault every ${every} s`,
            report.table(happened),
            measured,
            failures.length === 0
              ? 'All invariants held.'
              : failures.map((failure) => `- FAILED: ${failure}`).join('\n'),
          ].join('\n\n'),
        );
        expect(failures.slice(0, 10)).toEqual([]);
      } finally {
        await rig.stop();
      }
    },
    MS + 900_000,
  );
});

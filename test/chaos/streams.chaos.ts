import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { TestCluster } from '../support/cluster.js';
import { Sentinels } from '../support/sentinel.js';
import { Rig } from './rig.js';
import { checkStreams } from './stream-check.js';
import { STREAM_FAULTS } from './stream-faults.js';
import { StreamTraffic } from './streams.js';
import type { Topology } from './way.js';

const SEED = Number(process.env.SOAK_SEED ?? 1);

/** Causes a fault in the middle of streams, and checks what all readers got. */
async function run(fault: (traffic: StreamTraffic) => Promise<unknown>, topology?: Topology): Promise<void> {
  const rig = new Rig(SEED, { topology });
  const traffic = new StreamTraffic(rig);
  try {
    await rig.start({ nodes: 3, publishers: 0, clients: 0 });
    await fault(traffic);
    await traffic.settle();
    expect(await checkStreams(traffic)).toEqual([]);
  } finally {
    traffic.stop();
    await rig.stop();
  }
}

describe('Streams end once, the same for all readers, without a gap or a repetition', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it.each(Object.entries(STREAM_FAULTS))('%s', (_, fault) => run(fault));

  it('the master is killed, and a replica takes over by Sentinel', async () => {
    const sentinels = await Sentinels.start();
    await run(async (traffic) => {
      await traffic.begin({ leaseMs: 15_000 });
      traffic.lose('lost data');
      const master = await sentinels.master();
      await master.kill();
      await sentinels.moved(master);
      await master.start();
      await sentinels.settled();
    }, sentinels);
  });

  it('the slot of each stream moves to another master of a cluster, key by key', async () => {
    const cluster = await TestCluster.start({ replicas: 0 });
    await run(
      async (traffic) => {
        await traffic.begin();
        for (const { id } of traffic.streams) {
          await cluster.move(id, await cluster.otherThanOwnerOf(id), 100);
          await sleep(200);
        }
      },
      { options: cluster.options, admin: () => cluster.admin() },
    );
  });
});

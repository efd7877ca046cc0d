import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { TestCluster } from '../support/cluster.js';
import { Sentinels } from '../support/sentinel.js';
import { until } from '../support/until.js';
import { check } from './check.js';
import { disturb, type Fault } from './faults.js';
import { Rig } from './rig.js';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 8);
const SEED = Number(process.env.SOAK_SEED ?? 1);
const MIN_REPLICAS = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '1'];
const say = (text: string) => process.env.SOAK_SECONDS && process.stdout.write(`${text}\n`);

/** Each may lose events that the old master confirmed and the new master lacks. */
const sentinelFaults = (sentinels: Sentinels): Record<string, Fault> => ({
  'an operator triggers a failover': async (rig) => {
    rig.lose(...rig.channels);
    await sentinels.failOver();
  },
  'the master hangs and resumes after the failover': async (rig) => {
    rig.lose(...rig.channels);
    const master = await sentinels.master();
    master.signal('SIGSTOP');
    await sentinels.moved(master);
    await sleep(rig.random.between(0, 6_000));
    master.signal('SIGCONT');
    await sentinels.settled();
  },
  'the master is killed and restarted': async (rig) => {
    rig.lose(...rig.channels);
    const master = await sentinels.master();
    await master.kill();
    await sentinels.moved(master);
    await master.start();
    await sentinels.settled();
  },
});

/** The first two lose nothing. The others lose events that the old master confirmed and the new master lacks. */
const clusterFaults = (cluster: TestCluster): Record<string, Fault> => {
  /** A master, whose channels may lose events. */
  const victim = async (rig: Rig) => {
    const channel = rig.random.of(rig.channels);
    const master = await cluster.ownerOf(channel);
    for (const each of rig.channels) if ((await cluster.ownerOf(each)) === master) rig.lose(each);
    return [master, channel] as const;
  };
  return {
    'a slot migrates to another master, key by key': async ({ random, channels }) => {
      const channel = random.of(channels);
      const owner = await cluster.ownerOf(channel);
      const others = (await cluster.masters()).filter((master) => master !== owner);
      await cluster.move(channel, random.of(others), random.between(0, 300));
    },
    'an operator triggers a failover of a master': async ({ random, channels }) =>
      cluster.failOver(random.of(channels)),
    'a master hangs and resumes after the failover': async (rig) => {
      const [master, channel] = await victim(rig);
      await cluster.hang(master, channel);
      await sleep(rig.random.between(0, 4_000));
      await cluster.bringBack(master);
    },
    'a master is killed and restarted': async (rig) => {
      const [master, channel] = await victim(rig);
      await cluster.kill(master, channel);
      await cluster.bringBack(master);
    },
    'a master is killed, forgotten and replaced': async (rig) => {
      const [master, channel] = await victim(rig);
      await cluster.kill(master, channel);
      await cluster.replace(master, channel);
    },
  };
};

const rowsOf = (title: string) => {
  const [, section] = readFileSync('docs/reliability.md', 'utf8').split(`## ${title}\n`);
  const rows = section!.split('\n## ')[0]!.matchAll(/^\| (?!Fault|-)(.*?) +\|/gm);
  return [...rows].map(([, fault]) => fault);
};

describe('With several Redis servers', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('docs/reliability.md has a row for each fault, in order', () => {
    expect(rowsOf('Behind Sentinel')).toEqual(Object.keys(sentinelFaults(undefined!)));
    expect(rowsOf('In a cluster')).toEqual(Object.keys(clusterFaults(undefined!)));
  });

  const clustered = async (shardedSubscribers: boolean) => {
    const cluster = await TestCluster.start();
    const options = { ...cluster.options, shardedSubscribers };
    return { faults: clusterFaults(cluster), topology: { options, admin: () => cluster.admin() } };
  };

  const guarded = async (settings?: readonly string[]) => {
    const topology = await Sentinels.start(settings);
    return { faults: sentinelFaults(topology), topology };
  };

  it.each([
    ['behind Sentinel', () => guarded()],
    ['behind Sentinel, where a master without a replica accepts no events', () => guarded(MIN_REPLICAS)],
    ['in a cluster', () => clustered(false)],
    ['in a cluster with sharded Pub/Sub', () => clustered(true)],
  ])(
    'clients miss nothing that Redis still has, %s',
    async (name, start) => {
      const { faults, topology } = await start();
      const rig = new Rig(SEED, { topology });
      try {
        // The cursor distinguishes an event that an old master sent and lost from its second publication.
        await rig.start({ rate: 100, ownIds: 0 });
        await until(() => rig.clients.every(({ deliveries }) => deliveries.length > 1));
        const happened = await disturb(rig, {
          faults,
          ms: SECONDS * 1_000,
          tell: say,
          pause: () => sleep(rig.random.between(1_000, 3_000)),
        });
        await rig.settle();
        const report = await check(rig);
        say(`${name}, seed ${SEED}\n\n${report.table(happened)}`);
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

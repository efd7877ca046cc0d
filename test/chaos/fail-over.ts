import { setTimeout as sleep } from 'node:timers/promises';
import { Proxy } from '../support/proxy.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { REDIS, type Rig } from './rig.js';

/** How a replica takes over. */
interface TakeOver {
  /** For how long the replica has got nothing before. */
  readonly lagMs: number;
  /** For how long writers have got no replies before. @default 20 */
  readonly unconfirmedMs?: number;
  /** The proxies of the writers. @default those of the publishers */
  readonly writers?: readonly Proxy[];
}

/** A replica takes over without the last events, some of which the master sent but did not confirm. The master is killed. */
export async function failOver(rig: Rig, lagMs: number): Promise<void> {
  const takeOver = await replicate(rig);
  await takeOver({ lagMs });
}

/** Starts a replica. @returns a function that lets it take over */
export async function replicate(rig: Rig): Promise<(how: TakeOver) => Promise<void>> {
  const link = await Proxy.start(rig.server.port);
  const replica = await startRedis(REDIS, { ownClock: true });
  const admin = replica.admin({ maxRetriesPerRequest: 10_000 });
  await admin.replicaof('127.0.0.1', new URL(link.url).port);
  await until(async () => (await admin.info('replication')).includes('master_link_status:up'));
  return async ({ lagMs, unconfirmedMs = 20, writers = rig.publishers.map(({ proxy }) => proxy) }) => {
    link.holdDown = true;
    // Otherwise in the same turn, so that nothing is confirmed that the replica lacks.
    if (lagMs > unconfirmedMs) await sleep(lagMs - unconfirmedMs);
    for (const proxy of writers) proxy.dropDown = true;
    await sleep(unconfirmedMs);
    await admin.replicaof('NO', 'ONE');
    link.close();
    for (const proxy of rig.proxies) {
      proxy.target = replica.port;
      proxy.cut();
      proxy.dropDown = false;
    }
    await rig.server.kill();
    rig.admin.disconnect();
    [rig.server, rig.admin] = [replica, admin];
  };
}

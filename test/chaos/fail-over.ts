import { setTimeout as sleep } from 'node:timers/promises';
import { Proxy } from '../support/proxy.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { REDIS, type Rig } from './rig.js';

/** For how long publishers get no replies before the master is killed, in ms. */
const UNCONFIRMED_MS = 20;

/** A replica takes over without the last events, some of which the master sent but did not confirm. The master is killed. */
export async function failOver(rig: Rig, lagMs: number): Promise<void> {
  const link = await Proxy.start(rig.server.port);
  const replica = await startRedis(REDIS, { ownClock: true });
  const admin = replica.admin({ maxRetriesPerRequest: 10_000 });
  await admin.replicaof('127.0.0.1', new URL(link.url).port);
  await until(async () => (await admin.info('replication')).includes('master_link_status:up'));
  link.holdDown = true;
  await sleep(lagMs - UNCONFIRMED_MS);
  for (const { proxy } of rig.publishers) proxy.dropDown = true;
  await sleep(UNCONFIRMED_MS);
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
}

import { freePort } from './port.js';
import { type RedisServer, startRedis } from './redis.js';

/** How long a master may be silent before other servers count it as failed. */
export const NODE_TIMEOUT_MS = 1_500;

/** Starts servers that can be members of a cluster. They outlive the test. */
export async function startMembers(count: number): Promise<RedisServer[]> {
  const all = await Promise.allSettled(Array.from({ length: count }, startMember));
  const servers = all.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  const failed = all.find((each) => each.status === 'rejected');
  if (!failed) return servers;
  await Promise.all(servers.map((server) => server.stop()));
  throw failed.reason;
}

function startMember(): Promise<RedisServer> {
  // Each attempt chooses a new port for the cluster bus, because another server may use it.
  const argsOf = async () => {
    const cluster = ['enabled', 'yes', 'node-timeout', `${NODE_TIMEOUT_MS}`, 'port', `${await freePort()}`];
    const args = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'];
    for (let n = 0; n < cluster.length; n += 2) args.push(`--cluster-${cluster[n]}`, cluster[n + 1]!);
    return args;
  };
  return startRedis(argsOf, { outlivesTest: true });
}

import type { Redis } from 'ioredis';

const OLDEST_VERSION = [6, 2] as const;
/** The first with sharded Pub/Sub. */
const OLDEST_SHARDED = [7, 0] as const;

/** Why a server cannot be used, or may lose events. */
export interface Findings {
  readonly error?: string;
  readonly warning?: string;
}

/**
 * Reads what a server says about itself. Cost: one INFO.
 *
 * @param given whether the module uses it as part of a cluster, and with sharded Pub/Sub
 * @throws the error of ioredis, without an answer
 */
export async function inspect(
  client: Redis,
  given: { cluster: boolean; sharded: boolean },
): Promise<Findings> {
  const info = await client.info().catch((error: Error) => {
    // An ACL may forbid INFO.
    if (error.name === 'ReplyError') return '';
    throw error;
  });
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version');
  const policy = field('maxmemory_policy');
  const [what, oldest] = given.sharded ? ['sharded Pub/Sub', OLDEST_SHARDED] : ['the module', OLDEST_VERSION];
  if (version !== undefined && isOlder(version, oldest)) {
    return { error: `Redis ${version} is too old: ${what} needs ${oldest.join('.')} or later` };
  }
  if (field('role') === 'slave') {
    return { error: 'This Redis is a read-only replica: name its master, or its Sentinels' };
  }
  // Redis, Valkey and Redict name this field differently.
  if (field('\\w+_mode') === 'cluster' && !given.cluster) {
    const warning =
      'This Redis is part of a cluster and refuses channels of other servers: give `redis` as { nodes: [{ host, port }] }';
    return { warning };
  }
  if (policy !== undefined && policy !== 'noeviction') {
    const warning = `Redis may evict histories when its memory is full: set maxmemory-policy to noeviction (it is ${policy})`;
    return { warning };
  }
  return {};
}

function isOlder(version: string, oldest: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
}

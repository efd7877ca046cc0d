import type { Redis } from 'ioredis';

const OLDEST_VERSION = [6, 2] as const;
/** The first with sharded Pub/Sub. */
const OLDEST_SHARDED = [7, 0] as const;

/** What a server says of itself that keeps the module from working, or its events from being safe. */
export interface Findings {
  readonly error?: string;
  readonly warning?: string;
}

/**
 * Cost: one INFO.
 *
 * @param given whether as one of the nodes of a cluster, and with sharded Pub/Sub
 * @throws what ioredis throws where there is no answer
 */
export async function inspect(
  client: Redis,
  given: { cluster: boolean; sharded: boolean },
): Promise<Findings> {
  const info = await client.info().catch((error: Error) => {
    // Where it may not be asked, nothing can be said of it.
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
  // Redis, Valkey, and Redict each have a name of their own for it.
  if (field('\\w+_mode') === 'cluster' && !given.cluster) {
    const warning =
      'This Redis is a node of a cluster, and channels on others are refused: give `redis` as { nodes: [{ host, port }] }';
    return { warning };
  }
  if (policy !== undefined && policy !== 'noeviction') {
    const warning = `Redis may throw histories away when its memory is full: set maxmemory-policy to noeviction (it is ${policy})`;
    return { warning };
  }
  return {};
}

function isOlder(version: string, oldest: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
}

import type { Redis } from 'ioredis';

const OLDEST_VERSION = [6, 2] as const;

/** What a server says of itself that keeps the module from working, or its events from being safe. */
export interface Findings {
  readonly error?: string;
  readonly warning?: string;
}

/** @param isCluster whether it was given as one of the nodes of a cluster. Cost: one INFO. @throws what ioredis throws where there is no answer */
export async function inspect(client: Redis, isCluster = false): Promise<Findings> {
  const info = await client.info().catch((error: Error) => {
    // Where it may not be asked, nothing can be said of it.
    if (error.name === 'ReplyError') return '';
    throw error;
  });
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version');
  const policy = field('maxmemory_policy');
  if (version !== undefined && isOlder(version)) {
    return { error: `Redis ${version} is too old: the module needs ${OLDEST_VERSION.join('.')} or later` };
  }
  if (field('role') === 'slave') {
    return { error: 'This Redis is a read-only replica: name its master, or its Sentinels' };
  }
  if (field('redis_mode') === 'cluster' && !isCluster) {
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

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]);
}

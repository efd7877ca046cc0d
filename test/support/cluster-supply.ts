import { afterAll } from '@jest/globals';
import { TestCluster } from './cluster.js';
import { startMembers } from './cluster-member.js';
import { stopAfterTest } from './redis.js';

/**
 * Clusters of three masters, for files in which most tests need a new one. A cluster takes seconds to start, so the next
 * ones start while a test runs.
 */
export class ClusterSupply {
  readonly #next: Promise<TestCluster>[] = [];

  constructor(private readonly ahead = 2) {
    afterAll(async () => {
      const unused = await Promise.allSettled(this.#next);
      const servers = unused.flatMap((each) => (each.status === 'fulfilled' ? each.value.servers : []));
      await Promise.all(servers.map((server) => server.stop()));
    });
  }

  /** A cluster that is stopped after the test. */
  async take(): Promise<TestCluster> {
    while (this.#next.length <= this.ahead) {
      const next = startEmpty();
      // The test that uses it fails.
      next.catch(() => undefined);
      this.#next.push(next);
    }
    const cluster = await this.#next.shift()!;
    for (const server of cluster.servers) stopAfterTest(server);
    return cluster;
  }
}

async function startEmpty(): Promise<TestCluster> {
  const servers = await startMembers(3);
  try {
    return await TestCluster.of(servers, 0);
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
}

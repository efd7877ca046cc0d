import { afterAll } from '@jest/globals';
import { startMember, TestCluster } from './cluster.js';
import { stopAfterTest } from './redis.js';

/**
 * Clusters of three masters, for files in which most tests need one of their own. A cluster takes seconds to start, so the next
 * ones start while a test runs.
 */
export class ClusterSupply {
  readonly #next: Promise<TestCluster>[] = [];

  constructor(private readonly ahead = 2) {
    afterAll(async () => {
      const unused = await Promise.all(this.#next);
      await Promise.all(unused.flatMap(({ servers }) => servers.map((server) => server.stop())));
    });
  }

  /** A cluster that is stopped after the test. */
  async take(): Promise<TestCluster> {
    while (this.#next.length <= this.ahead) this.#next.push(startEmpty());
    const cluster = await this.#next.shift()!;
    for (const server of cluster.servers) stopAfterTest(server);
    return cluster;
  }
}

async function startEmpty(): Promise<TestCluster> {
  return TestCluster.of(await Promise.all([1, 2, 3].map(startMember)), 0);
}

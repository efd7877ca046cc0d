const DRAIN_SPEC = 'test/drain.spec.ts';
const HEALTH_SPEC = 'test/health.spec.ts';
const publisher = { file: 'src/broker/redis/publisher.ts', tests: [`${DRAIN_SPEC} › At shutdown`] };
const terminus = { file: 'src/integrations/terminus.ts', tests: [HEALTH_SPEC] };
const prometheus = { file: 'src/integrations/prometheus.ts', tests: ['test/health.prometheus.spec.ts'] };
const counts = { tests: ['test/health.metrics.spec.ts › count'] };

export const metrics = [
  {
    ...publisher,
    guard: 'shutdown waits for publications in flight',
    find: `    await Promise.race([settled, sleep(CLOSE_MS, undefined, { ref: false })]);\n`,
    replace: '',
  },
  {
    ...publisher,
    guard: 'shutdown waits for publications for a limited time',
    find: `await Promise.race([settled, sleep(CLOSE_MS, undefined, { ref: false })])`,
    replace: `await settled`,
  },
  {
    file: 'src/connections/heartbeats.ts',
    guard: 'a connection closes at its maximum age',
    find: `      else if (now >= connection.dueAt) this.close(connection, 'age');\n`,
    replace: '',
    tests: [DRAIN_SPEC],
  },
  {
    file: 'src/options/resolve-options.ts',
    guard: 'without history, connections have no maximum age',
    find: `    ...(history === false && { maxConnectionAgeMs: false }),\n`,
    replace: '',
    tests: ['test/module.options.spec.ts'],
  },
  {
    ...terminus,
    guard: 'health is down during the shutdown',
    find: `connected && !draining`,
    replace: `connected`,
  },
  {
    ...terminus,
    guard: 'health is down without Redis',
    find: `connected && !draining`,
    replace: `!draining`,
  },
  {
    ...prometheus,
    guard: 'counters do not accumulate with each scrape',
    find: `        this.reset();\n`,
    replace: '',
  },
  {
    ...prometheus,
    guard: 'metrics are removed from the registry',
    find: `registry.removeSingleMetric(metric.name)`,
    replace: `void metric`,
  },
  ...[
    [
      'src/channel/replay.ts',
      `      this.options.metrics.delivered++;\n      this.options.metrics.replayed++;\n`,
    ],
    [
      'src/channel/channel-hub.ts',
      `      this.options.metrics.behind++;\n`,
      ['src/channel/channels.catch-up.spec.ts'],
    ],
    ['src/channel/replay.ts', `    this.options.metrics.resets[reason]++;\n`],
    ['src/channel/channel-hub.ts', `    if (this.#hasMissed) this.options.metrics.gaps++;\n`],
    ['src/publications.ts', `this.published++`],
    ['src/publications.ts', `this.rejected++`],
  ].map(([file, find, tests = counts.tests]) => ({
    ...counts,
    file,
    guard: `${find.trim()}: it is counted`,
    find,
    tests,
    replace: find.includes(';') ? '' : 'void 0',
  })),
];

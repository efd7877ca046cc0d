/** Guards of long runs, and of the shutdown. */
const PROBE_SPEC = 'src/broker/redis/probe.spec.ts';
const SUBSCRIBER_SPEC = 'test/subscriber.spec.ts';
const REQUIRE_SPEC = 'test/require-redis.spec.ts';
const DRAIN_SPEC = 'test/drain.spec.ts';
const HEALTH_SPEC = 'test/health.prometheus.spec.ts';

const probe = { file: 'src/broker/redis/probe.ts', tests: [PROBE_SPEC] };
const redisBroker = { file: 'src/broker/redis/redis.broker.ts', tests: [SUBSCRIBER_SPEC] };
const check = { file: 'src/broker/redis/inspect.ts', tests: [REQUIRE_SPEC] };
const module = { file: 'src/sse.module.ts', tests: [DRAIN_SPEC] };
const connections = { file: 'src/connections/connections.ts', tests: [DRAIN_SPEC] };
const prometheus = { file: 'src/integrations/prometheus.ts', tests: [HEALTH_SPEC] };

export const production = [
  {
    ...probe,
    guard: 'a probe that was not accepted is ignored',
    find: `      this.#awaited = undefined;\n      this.#wait(this.probeMs);\n`,
    replace: '',
  },
  {
    ...probe,
    guard: 'only the last probe counts',
    find: `    if (text !== this.#awaited) return;\n`,
    replace: '',
  },
  {
    ...probe,
    guard: 'an interrupted probe leaves no timer',
    find: `    clearTimeout(this.#timer);\n  }`,
    replace: `  }`,
  },
  {
    ...probe,
    guard: 'a busy process reads received messages before a probe is evaluated',
    find: `    setImmediate(() => {\n      if`,
    replace: `    queueMicrotask(() => {\n      if`,
  },
  {
    ...probe,
    guard: 'connections that did not help get more time',
    find: `      this.#patience = Math.min(2 * this.#patience, MAX_PATIENCE);\n`,
    replace: '',
  },
  {
    ...probe,
    guard: 'the time of connections is limited to ten times as much',
    find: `Math.min(2 * this.#patience, MAX_PATIENCE)`,
    replace: `2 * this.#patience`,
  },
  {
    ...probe,
    guard: 'after a probe that was not accepted, the next one does not wait longer',
    find: `      this.#wait(this.probeMs);\n`,
    replace: '',
  },
  {
    file: 'src/sse.module.ts',
    guard: 'metrics are available until the end of the shutdown',
    find: `    await this.broker.close();\n    this.#stopMetrics?.();`,
    replace: `    this.#stopMetrics?.();\n    await this.broker.close();`,
    tests: [`${DRAIN_SPEC} › At shutdown`],
  },
  {
    ...probe,
    guard: 'an interrupted probe is not evaluated',
    find: `      if (!this.#isSubscribed) return;\n`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'a closed process sends no probes',
    find: `    this.#probe.onInterrupted();\n`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'the command connection is also checked',
    find: `    if (isStill) this.#topology.routeOf(channel).connection.reconnect();\n`,
    replace: '',
  },
  {
    file: 'src/broker/redis/connection.ts',
    guard: 'a connection is replaced at a limited rate',
    find: `now - this.#leftAt < everyMs || `,
    replace: '',
    tests: ['test/connection.spec.ts'],
  },
  {
    file: 'src/broker/redis/connection.ts',
    guard: 'commands wait while a connection is replaced',
    find: ` && !this.#leaving;`,
    replace: `;`,
    tests: ['test/connection.spec.ts'],
  },
  {
    file: 'src/broker/redis/connection.ts',
    guard: 'connections to Redis reopen at different times',
    find: ` * (0.5 + Math.random())`,
    replace: ``,
    tests: ['test/connection.spec.ts'],
  },
  {
    file: 'src/connections/heartbeats.ts',
    guard: 'connections reach their age at different times',
    find: `(0.8 + 0.4 * Math.random())`,
    replace: `1`,
    tests: ['src/connections/heartbeats.spec.ts'],
  },
  {
    ...connections,
    guard: 'connections are drained in random order',
    find: `const other = Math.floor(Math.random() * (last + 1));`,
    replace: `const other = last;`,
  },
  {
    file: 'src/channel/live-hub.ts',
    guard: 'deliveries without history are counted',
    find: `this.metrics.delivered += this.#subscribers`,
    replace: `this.#subscribers`,
    tests: ['src/channel/live-hub.spec.ts'],
  },
  {
    file: 'src/sse.module.ts',
    guard: 'failing metrics leave nothing open',
    find: `      await this.broker.close();\n      throw error;`,
    replace: `      throw error;`,
    tests: [HEALTH_SPEC],
  },
  {
    ...prometheus,
    guard: 'a registry is not filled partly',
    find: `    if (existing) {`,
    replace: `    if (existing && !existing) {`,
  },
  {
    file: 'src/broker/memory/memory.broker.ts',
    guard: 'a closed broker rejects publications',
    find: `    if (this.#closed) throw closedError();\n`,
    replace: '',
    tests: ['test/broker.spec.ts'],
  },
  {
    ...redisBroker,
    guard: 'a deaf connection is reopened',
    find: `    if (isDeaf) this.#subscriptions.leave(channel);\n`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'a deaf process is not reported as connected',
    find: `this.#probe.isDeaf ? 'deaf' : 'up'`,
    replace: `'up'`,
  },
  {
    ...redisBroker,
    guard: 'the first connection to Redis does not start an outage',
    file: 'src/broker/redis/outage.ts',
    find: ` && trouble !== undefined`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'an application that requires Redis does not start with an unsuitable one',
    find: `    if (error !== undefined) throw new SseError('SSE_UNAVAILABLE', error);\n`,
    replace: '',
    tests: [REQUIRE_SPEC],
  },
  {
    ...check,
    guard: 'an old Redis version is reported',
    find: `version !== undefined && isOlder(version, oldest)`,
    replace: `false`,
  },
  {
    ...check,
    guard: 'the minor version is checked',
    find: `(major === oldest[0] && minor < oldest[1])`,
    replace: `false`,
  },
  { ...check, guard: 'a replica is reported', find: `field('role') === 'slave'`, replace: `false` },
  {
    ...check,
    guard: 'a Redis that evicts keys is reported',
    find: `policy !== undefined && policy !== 'noeviction'`,
    replace: `false`,
  },
  {
    ...module,
    guard: 'a start that fails leaves nothing open',
    find: `    await broker.close();\n    throw error;`,
    replace: `    throw error;`,
    tests: [REQUIRE_SPEC],
  },
  {
    ...module,
    guard: 'a signal starts the drain',
    find: `    else await this.connections.drain();\n`,
    replace: '',
  },
  {
    ...module,
    guard: 'only a signal starts the drain',
    find: `    else await`,
    replace: `    await`,
    tests: ['test/shutdown.spec.ts › ends at once with open connections'],
  },
  {
    ...connections,
    guard: 'no connection opens during the drain',
    find: `      (this.#draining && this.#elsewhereMs()) ||\n`,
    replace: '',
  },
  {
    ...connections,
    guard: 'the drain does not wait for connections that close by themselves',
    find: `    if (this.#draining) this.#empty.abort();\n`,
    replace: '',
  },
  {
    ...connections,
    guard: 'connections are drained over time',
    find: `      if (wait > 0) await sleep(wait, undefined, { signal: this.#empty.signal }).catch(() => undefined);\n`,
    replace: '',
  },
  {
    ...connections,
    guard: 'each drained client gets a different reconnection time',
    find: `this.options.retryMs * (0.5 + Math.random() / 2)`,
    replace: `this.options.retryMs * 2`,
  },
];

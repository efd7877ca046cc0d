/** Guards of what goes on for long, and of how it ends. */
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
    guard: 'a probe that was not accepted proves nothing',
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
    guard: 'what has arrived at a busy process is read before it is judged',
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
    guard: 'but no more than ten times as much',
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
    guard: 'metrics are available until the end',
    find: `    await this.broker.close();\n    this.#stopMetrics?.();`,
    replace: `    this.#stopMetrics?.();\n    await this.broker.close();`,
    tests: [`${DRAIN_SPEC} › At shutdown`],
  },
  {
    ...probe,
    guard: 'what is interrupted is not judged',
    find: `      if (!this.#isSubscribed) return;\n`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'a closed process probes no more',
    find: `    this.#probe.onInterrupted();\n`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'the connection that publishes is suspected, too',
    find: `    if (isStill) this.#topology.routeOf(channel).connection.reconnect();\n`,
    replace: '',
  },
  {
    file: 'src/broker/redis/connection.ts',
    guard: 'a server that is wrong again and again is not asked all the time',
    find: `now - this.#leftAt < everyMs || `,
    replace: '',
    tests: ['test/connection.spec.ts'],
  },
  {
    file: 'src/broker/redis/connection.ts',
    guard: 'what is called while a server is left waits for the next',
    find: ` && !this.#leaving;`,
    replace: `;`,
    tests: ['test/connection.spec.ts'],
  },
  {
    file: 'src/broker/redis/connection.ts',
    guard: 'connections do not come back together',
    find: ` * (0.5 + Math.random())`,
    replace: ``,
    tests: ['test/connection.spec.ts'],
  },
  {
    file: 'src/connections/heartbeats.ts',
    guard: 'streams do not end together at their age',
    find: `(0.8 + 0.4 * Math.random())`,
    replace: `1`,
    tests: ['src/connections/heartbeats.spec.ts'],
  },
  {
    ...connections,
    guard: 'streams end in no order',
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
    guard: 'metrics that do not start leave nothing open',
    find: `      await this.broker.close();\n      throw error;`,
    replace: `      throw error;`,
    tests: [HEALTH_SPEC],
  },
  {
    ...prometheus,
    guard: 'a registry is not filled by half',
    find: `    if (existing) {`,
    replace: `    if (existing && !existing) {`,
  },
  {
    file: 'src/broker/memory/memory.broker.ts',
    guard: 'a closed broker takes nothing',
    find: `    if (this.#closed) throw closedError();\n`,
    replace: '',
    tests: ['test/broker.spec.ts'],
  },
  {
    ...redisBroker,
    guard: 'a deaf connection is opened anew',
    find: `    if (isDeaf) this.#subscriptions.leave(channel);\n`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'a deaf process is not connected',
    find: `this.#probe.isDeaf ? 'deaf' : 'up'`,
    replace: `'up'`,
  },
  {
    ...redisBroker,
    guard: 'Redis that comes does not begin an outage',
    file: 'src/broker/redis/outage.ts',
    find: ` && trouble !== undefined`,
    replace: '',
  },
  {
    ...redisBroker,
    guard: 'what requires Redis does not start with one that cannot be used',
    find: `    if (error !== undefined) throw new SseError('SSE_UNAVAILABLE', error);\n`,
    replace: '',
    tests: [REQUIRE_SPEC],
  },
  {
    ...check,
    guard: 'an old Redis is told',
    find: `version !== undefined && isOlder(version, oldest)`,
    replace: `false`,
  },
  {
    ...check,
    guard: 'a minor version may be too old',
    find: `(major === oldest[0] && minor < oldest[1])`,
    replace: `false`,
  },
  { ...check, guard: 'a replica is told', find: `field('role') === 'slave'`, replace: `false` },
  {
    ...check,
    guard: 'a Redis that throws keys away is told',
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
    guard: 'a signal drains',
    find: `    else await this.connections.drain();\n`,
    replace: '',
  },
  {
    ...module,
    guard: 'nothing else does',
    find: `    else await`,
    replace: `    await`,
    tests: ['test/shutdown.spec.ts › ends at once with open connections'],
  },
  {
    ...connections,
    guard: 'no stream begins while they are drained',
    find: `      (this.#draining && this.#elsewhereMs()) ||\n`,
    replace: '',
  },
  {
    ...connections,
    guard: 'streams that end by themselves are not waited for',
    find: `    if (this.#draining) this.#empty.abort();\n`,
    replace: '',
  },
  {
    ...connections,
    guard: 'the ends of streams are spread',
    find: `      if (wait > 0) await sleep(wait, undefined, { signal: this.#empty.signal }).catch(() => undefined);\n`,
    replace: '',
  },
  {
    ...connections,
    guard: 'each is told another time to come back',
    find: `this.options.retryMs * (0.5 + Math.random() / 2)`,
    replace: `this.options.retryMs * 2`,
  },
];

const specsOf = (names) => names.map((name) => `src/channel/${name}.spec.ts`);
const HUB_SPECS = specsOf([
  'channel-hub',
  'channel-hub.gaps',
  'channel-hub.lost-writes',
  'channel-hub.audits',
]);
const REPLAY_SPECS = specsOf(['replay', 'replay.resets']);
const MODEL = 'test/resume.model.spec.ts';
const CHANNELS_SPEC = 'src/channel/channels.spec.ts';

const ring = { file: 'src/channel/ring.ts', tests: [...REPLAY_SPECS, ...HUB_SPECS, MODEL] };
const backlog = { file: 'src/channel/backlog.ts', tests: HUB_SPECS };
const reader = {
  file: 'src/channel/history-reader.ts',
  tests: [...REPLAY_SPECS, ...HUB_SPECS, CHANNELS_SPEC, 'src/channel/history-reader.spec.ts'],
};
const limiter = { file: 'src/common/limiter.ts', tests: ['src/common/limiter.spec.ts'] };
const liveness = { file: 'src/channel/liveness.ts', tests: HUB_SPECS };
const subscribers = { file: 'src/channel/subscribers.ts', tests: HUB_SPECS };

export const history = [
  {
    ...ring,
    guard: 'a ring holds a bounded number of events',
    find: `while (this.#events.length > maxEvents || this.#size > maxSize || this.#isOverBudget())`,
    replace: `while (this.#size > maxSize || this.#isOverBudget())`,
  },
  {
    ...ring,
    guard: 'a ring holds a bounded number of characters',
    find: `while (this.#events.length > maxEvents || this.#size > maxSize || this.#isOverBudget())`,
    replace: `while (this.#events.length > maxEvents || this.#isOverBudget())`,
  },
  {
    ...ring,
    guard: 'all rings together hold a bounded number of characters',
    find: ` || this.#isOverBudget()`,
    replace: '',
    tests: ['src/channel/ring.spec.ts'],
  },
  {
    ...ring,
    guard: 'a ring drops old events',
    find: `    while (this.#aged > 0) this.#shift();\n`,
    replace: '',
    tests: ['src/channel/ring.spec.ts'],
  },
  {
    ...ring,
    guard: 'a ring ages correctly after it dropped events for lack of space',
    find: `    this.#aged = Math.max(0, this.#aged - 1);\n`,
    replace: '',
    tests: ['src/channel/ring.spec.ts'],
  },
  {
    ...ring,
    guard: 'read events are added only to a ring with space',
    find: `      if (this.#events.length >= maxEvents || this.#size + event.size > maxSize) return;\n`,
    replace: '',
  },
  {
    ...ring,
    guard: 'read events are added only up to the start of the ring',
    find: `events.findIndex(({ cursor }) => cursor === this.#start)`,
    replace: `events.length - 1`,
  },
  {
    ...ring,
    guard: 'a ring does not know positions of dropped events',
    find: `    this.#start = cursor;\n  }\n\n  #resize`,
    replace: `  }\n\n  #resize`,
  },
  {
    ...ring,
    guard: 'of two events with one id, the earlier one is the position',
    find: `this.#events.findIndex(({`,
    replace: `this.#events.findLastIndex(({`,
  },
  {
    ...backlog,
    guard: 'the number of held messages is bounded',
    find: `this.#messages.length <= MAX_MESSAGES && this.#size <= MAX_SIZE`,
    replace: `this.#size <= MAX_SIZE`,
  },
  {
    ...backlog,
    guard: 'the size of held messages is bounded',
    find: `this.#messages.length <= MAX_MESSAGES && this.#size <= MAX_SIZE`,
    replace: `this.#messages.length <= MAX_MESSAGES`,
  },
  {
    ...limiter,
    guard: 'the number of reads in flight is bounded',
    find: `    if (!this.isBusy) this.#running++;\n`,
    replace: `    if (this.#running++ >= 0) void 0;\n`,
  },
  {
    ...limiter,
    guard: 'a read that ends or fails starts the next one',
    find: `      this.#next();\n`,
    replace: `      this.#running--;\n`,
  },
  {
    ...limiter,
    guard: 'a read that is no longer needed is skipped',
    find: `const isTurn = next.isWanted();`,
    replace: `const isTurn = true;`,
  },
  {
    ...limiter,
    guard: 'urgent reads are first',
    find: `this.#waiting[priority] ??=`,
    replace: `this.#waiting[0 * priority] ??=`,
  },
  {
    ...reader,
    guard: 'concurrent requests share one read',
    find: `    if (reading) {\n`,
    replace: `    if (reading && !key) {\n`,
  },
  {
    ...reader,
    guard: 'a completed read is not shared',
    find: `.finally(() => this.#shared.delete(key))`,
    replace: '',
  },
  {
    ...reader,
    guard: 'a failed read of a replay is retried',
    find: `        options.onError?.(error as Error);\n`,
    replace: `        throw error;\n`,
  },
  {
    ...reader,
    guard: 'a read is not retried for a closed subscriber',
    find: `options.isWanted();`,
    replace: `true;`,
  },
  {
    ...liveness,
    guard: 'a connection that fails when the hub becomes live does not affect others',
    find: `      try {\n        callback();\n      } catch (error) {\n        const cause = causeOf(error);\n        this.failures.error(cause, \`A connection failed when its channel became live: \${cause}\`);\n      }\n`,
    replace: `      callback();\n`,
  },
  {
    ...liveness,
    guard: 'a waiting subscriber is called once',
    find: `      this.#waiting.delete(callback);\n      try`,
    replace: `      try`,
  },
  {
    ...liveness,
    guard: 'a subscriber that stopped waiting is not called',
    find: `return () => this.#waiting.delete(callback);`,
    replace: `return () => undefined;`,
  },
  {
    ...subscribers,
    guard: 'a subscriber that attaches during a delivery does not get that event',
    find: `(this.#delivering ? this.#newcomers : this.#all).add(subscriber);`,
    replace: `this.#all.add(subscriber);`,
  },
  {
    ...subscribers,
    guard: 'a subscriber that attaches and detaches during a delivery is removed',
    find: `    this.#newcomers.delete(subscriber);\n`,
    replace: '',
  },
  {
    ...subscribers,
    guard: 'a failing subscriber gets no further events',
    find: `      else this.#all.delete(subscriber);\n`,
    replace: '',
  },
  {
    ...subscribers,
    guard: 'a failing subscriber is closed',
    find: `      subscriber.complete();\n      return false;`,
    replace: `      return false;`,
  },
];

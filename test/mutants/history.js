const specsOf = (names) => names.map((name) => `src/channel/${name}.spec.ts`);
const HUB_SPECS = specsOf(['channel-hub', 'channel-hub.gaps', 'channel-hub.audits']);
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
    guard: 'a ring lets go of what is old',
    find: `    while (this.#aged > 0) this.#shift();\n`,
    replace: '',
    tests: ['src/channel/ring.spec.ts'],
  },
  {
    ...ring,
    guard: 'a ring ages rightly where events went for want of room',
    find: `    this.#aged = Math.max(0, this.#aged - 1);\n`,
    replace: '',
    tests: ['src/channel/ring.spec.ts'],
  },
  {
    ...ring,
    guard: 'what was read goes into a ring where there is room',
    find: `      if (this.#events.length >= maxEvents || this.#size + event.size > maxSize) return;\n`,
    replace: '',
  },
  {
    ...ring,
    guard: 'what was read goes into a ring where it leads up to it',
    find: `events.findIndex(({ cursor }) => cursor === this.#start)`,
    replace: `events.length - 1`,
  },
  {
    ...ring,
    guard: 'a ring does not know what it does not hold any more',
    find: `    this.#start = cursor;\n  }\n\n  #resize`,
    replace: `  }\n\n  #resize`,
  },
  {
    ...ring,
    guard: 'of two events with one id the earlier counts',
    find: `this.#events.findIndex(({`,
    replace: `this.#events.findLastIndex(({`,
  },
  {
    ...backlog,
    guard: 'a bounded number of messages is held back',
    find: `this.#messages.length <= MAX_MESSAGES && this.#size <= MAX_SIZE`,
    replace: `this.#size <= MAX_SIZE`,
  },
  {
    ...backlog,
    guard: 'a bounded number of characters is held back',
    find: `this.#messages.length <= MAX_MESSAGES && this.#size <= MAX_SIZE`,
    replace: `this.#messages.length <= MAX_MESSAGES`,
  },
  {
    ...limiter,
    guard: 'a bounded number of reads is under way',
    find: `    if (!this.isBusy) this.#running++;\n`,
    replace: `    if (this.#running++ >= 0) void 0;\n`,
  },
  {
    ...limiter,
    guard: 'a read that ends, or fails, lets the next one go',
    find: `      this.#next();\n`,
    replace: `      this.#running--;\n`,
  },
  {
    ...limiter,
    guard: 'a read that nobody waits for any more is left out',
    find: `const isTurn = next.isWanted();`,
    replace: `const isTurn = true;`,
  },
  {
    ...limiter,
    guard: 'urgent reads come first',
    find: `this.#waiting[priority] ??=`,
    replace: `this.#waiting[0 * priority] ??=`,
  },
  {
    ...reader,
    guard: 'what many ask for at the same time is read once',
    find: `    if (reading) {\n`,
    replace: `    if (reading && !key) {\n`,
  },
  {
    ...reader,
    guard: 'a read that has ended is not shared',
    find: `.finally(() => this.#shared.delete(key))`,
    replace: '',
  },
  {
    ...reader,
    guard: 'a read for a replay is tried again',
    find: `        options.onError?.(error as Error);\n`,
    replace: `        throw error;\n`,
  },
  {
    ...reader,
    guard: 'a read is not tried again for who has left',
    find: `options.isWanted();`,
    replace: `true;`,
  },
  {
    ...liveness,
    guard: 'a connection that fails when the hub becomes live does not harm the others',
    find: `      try {\n        callback();\n      } catch (error) {\n        const cause = causeOf(error);\n        this.failures.error(cause, \`A connection failed when its channel became live: \${cause}\`);\n      }\n`,
    replace: `      callback();\n`,
  },
  {
    ...liveness,
    guard: 'who waits is called once',
    find: `      this.#waiting.delete(callback);\n      try`,
    replace: `      try`,
  },
  {
    ...liveness,
    guard: 'who does not wait any more is not called',
    find: `return () => this.#waiting.delete(callback);`,
    replace: `return () => undefined;`,
  },
  {
    ...subscribers,
    guard: 'who comes while an event is delivered does not get it',
    find: `(this.#delivering ? this.#newcomers : this.#all).add(subscriber);`,
    replace: `this.#all.add(subscriber);`,
  },
  {
    ...subscribers,
    guard: 'who comes and leaves while an event is delivered is gone',
    find: `    this.#newcomers.delete(subscriber);\n`,
    replace: '',
  },
  {
    ...subscribers,
    guard: 'a subscriber that fails gets nothing more',
    find: `      else this.#all.delete(subscriber);\n`,
    replace: '',
  },
  {
    ...subscribers,
    guard: 'a subscriber that fails is cut',
    find: `      subscriber.complete();\n      return false;`,
    replace: `      return false;`,
  },
];

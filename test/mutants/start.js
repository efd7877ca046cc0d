const FROM_SPEC = 'test/from.spec.ts';
const EVENTS_SPEC = 'test/events.spec.ts';
const SLOW_SPEC = 'test/events.slow.spec.ts';
const NEWEST_SPEC = 'test/broker.newest.spec.ts';

const page = { file: 'src/channel/start.ts' };
const queue = { file: 'src/connections/event-queue.ts', tests: [SLOW_SPEC, EVENTS_SPEC] };
const iterator = { file: 'src/connections/event-iterator.ts', tests: [EVENTS_SPEC] };
const script = { file: 'src/broker/redis/read.lua', tests: [NEWEST_SPEC] };
const chain = { file: 'src/broker/memory/chain.ts', tests: [NEWEST_SPEC] };

/** Where connections begin, and consumers that pull. */
export const start = [
  {
    ...page,
    guard: 'a start has no unknown keys',
    find: `  checkKeys('SSE_INPUT', 'from', from, ['last']);\n`,
    replace: '',
    tests: [`${FROM_SPEC} › An observable`],
  },
  {
    ...page,
    guard: 'a start is a whole number',
    find: `Number.isInteger(last) && `,
    replace: '',
    tests: [`${FROM_SPEC} › An observable`],
  },
  {
    file: 'src/channel/channels.ts',
    guard: 'a start with stored events needs history',
    find: `newest > 0 && this.history === false`,
    replace: `false`,
    tests: [`${FROM_SPEC} › An observable`],
  },
  {
    file: 'src/channel/subscription.ts',
    guard: 'a last event id takes precedence over `from`',
    find: `starts.has(hub.channel) ? hub : this.#beginOf(hub, start)`,
    replace: `this.#beginOf(hub, start)`,
    tests: [FROM_SPEC],
  },
  {
    file: 'src/channel/replay.ts',
    guard: 'the limits do not apply again to the events of a start',
    find: `    this.#isWithinLimits = true;\n    this.#beganAt = start.tip;`,
    replace: `    this.#beganAt = start.tip;`,
    tests: [`${FROM_SPEC} › An observable`],
  },
  {
    file: 'src/channel/replay.ts',
    guard: 'a start whose oldest events were evicted begins with the next ones',
    find: `[position, OLDEST]`,
    replace: `[position]`,
    tests: [`${FROM_SPEC} › An observable`],
  },
  {
    file: 'src/sse.service.ts',
    guard: 'a connection that was closed gets no more events',
    find: `        remove(reason);\n        subscription?.unsubscribe();`,
    replace: `        remove(reason);`,
    tests: [EVENTS_SPEC],
  },
  {
    file: 'src/sse.service.ts',
    guard: 'a start with stored events counts as a resume',
    find: ` || Number(start.newest) > 0`,
    replace: '',
    tests: [EVENTS_SPEC],
  },
  {
    ...queue,
    guard: 'a channel is accepted again once its reset is read',
    find: `    if (unread.resumes !== undefined) this.#dropped.delete(unread.resumes);\n`,
    replace: '',
  },
  {
    file: 'src/http/sse-response.ts',
    guard: 'a client learns that more is stored than it gets',
    find: `controlFrame(type, cursor, live, isTruncated)`,
    replace: `controlFrame(type, cursor, live)`,
    tests: [FROM_SPEC],
  },
  {
    file: 'src/routes/channel.guard.ts',
    guard: 'a guard waits until the channels are live',
    find: `      if (delivers) await this.responses?.prepare(response, channels);\n`,
    replace: '',
    tests: ['test/first-visit.spec.ts'],
  },
  {
    ...script,
    guard: 'the newest events are bounded by bytes',
    find: `bytes > mostBytes and 0 or `,
    replace: '',
  },
  {
    ...script,
    guard: 'the newest events are bounded by their number',
    find: `math.min(newest, mostEvents) - events`,
    replace: `newest - events`,
  },
  {
    ...script,
    guard: 'a start is truncated only if more was asked for',
    find: `events + left < newest and 1 or 0`,
    replace: `1`,
  },
  {
    ...chain,
    guard: 'the newest events in memory are bounded by bytes',
    find: `      if (total > Math.min(size, COUNTED.size)) break;\n`,
    replace: '',
  },
  {
    ...chain,
    guard: 'the newest events in memory begin after evicted ones',
    find: `while (first > this.#start && last`,
    replace: `while (first > 0 && last`,
  },
  {
    ...queue,
    guard: 'a consumer that does not pull leaves live delivery',
    find: `this.hasHistory && (this.#unread.length >= MAX_UNREAD`,
    replace: `false && (this.#unread.length >= MAX_UNREAD`,
  },
  {
    ...queue,
    guard: 'events that are not stored wait within bounds',
    find: `!(this.#isFull || this.#dropped.has(channel))`,
    replace: `true`,
  },
  {
    ...queue,
    guard: 'dropped events are reported once',
    find: `    if (this.hasHistory || this.#dropped.has(channel)) return;\n`,
    replace: `    if (this.hasHistory) return;\n`,
  },
  {
    ...queue,
    guard: 'unread events are discarded when a connection ends',
    find: `    this.#unread = [];\n    this.#size = 0;\n    for (const pull`,
    replace: `    for (const pull`,
  },
  {
    ...iterator,
    guard: 'an iteration leaves no listener at its signal',
    find: `    this.signal?.removeEventListener('abort', this.#onAbort);\n`,
    replace: '',
  },
  {
    ...iterator,
    guard: 'the end of an iteration closes its connection',
    find: `    this.#close?.(reason);\n`,
    replace: '',
  },
  {
    ...iterator,
    guard: 'an iteration with an aborted signal does not begin',
    find: `if (signal?.aborted) this.#end('client');\n    else this.#open(connect);`,
    replace: `this.#open(connect);`,
  },
  {
    ...iterator,
    guard: 'a refused connection is no empty iteration',
    find: `    if (refusal) throw refusal;\n`,
    replace: '',
  },
];

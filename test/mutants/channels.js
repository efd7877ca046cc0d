const CHANNELS_SPEC = 'src/channel/channels.spec.ts';
const liveHub = { file: 'src/channel/live-hub.ts', tests: ['src/channel/live-hub.spec.ts'] };
const channelsOf = { file: 'src/channel/channels.ts', tests: [CHANNELS_SPEC] };
const OPENING_SPEC = 'src/channel/opening.spec.ts';
const opening = { file: 'src/channel/opening.ts', tests: [OPENING_SPEC] };
const composite = { file: 'src/channel/composite.ts', tests: ['src/channel/composite.spec.ts'] };

export const channels = [
  {
    ...liveHub,
    guard: 'a connection without history waits until its channel is live',
    find: `    this.enter('interrupted');\n`,
    replace: '',
  },
  {
    ...liveHub,
    guard: 'a connection without history gets no cursors of nodes with history',
    find: `message.id === message.cursor ? undefined : message.id`,
    replace: `message.id`,
  },
  {
    ...channelsOf,
    guard: 'a connection unsubscribes once',
    file: 'src/channel/subscription.ts',
    find: `    if (!this.#isOpen) return;\n`,
    replace: '',
  },
  {
    ...channelsOf,
    guard: 'a channel stays subscribed while it has connections',
    find: `if (!entry || --entry.users > 0) return;`,
    replace: `if (!entry) return;`,
  },
  {
    ...channelsOf,
    guard: 'a channel with a new connection stays subscribed',
    find: `    clearTimeout(entry.linger);\n`,
    replace: '',
  },
  {
    ...channelsOf,
    guard: 'a channel is unsubscribed a while after its last connection',
    find: `this.bounds.lingerMs ?? LINGER_MS`,
    replace: `0`,
  },
  {
    ...channelsOf,
    guard: 'an idle channel is evicted for a requested one',
    find: `this.#entries.size - this.#lingering.size + channels`,
    replace: `this.#entries.size + channels`,
    tests: ['test/shares.spec.ts'],
  },
  {
    ...channelsOf,
    guard: 'the number of subscribed channels is limited',
    find: `      if (oldest !== undefined && this.size >= (this.bounds.max ?? Infinity)) this.#forget(oldest);\n`,
    replace: '',
    tests: ['test/shares.spec.ts'],
  },
  {
    ...channelsOf,
    guard: 'each channel is audited periodically',
    find: `void hub.audit(++audits % DUE === 0)`,
    replace: `void (++audits % DUE)`,
  },
  {
    ...channelsOf,
    guard: 'a closed connection searches for no position',
    file: 'src/channel/subscription.ts',
    find: `return this.#isOpen && !this.#context.isClosed();`,
    replace: `return true;`,
  },
  {
    ...channelsOf,
    guard: 'a connection with an invalid position resets each channel before any event',
    file: 'src/channel/subscription.ts',
    find: `const none = isCursor(id) ? id : '';`,
    replace: `const none = id;`,
  },
  {
    ...channelsOf,
    guard: 'a failing connection is closed',
    file: 'src/channel/subscription.ts',
    find: `connection ends, as it failed: \${cause}\`);\n      this.subscriber.complete();`,
    replace: `connection ends, as it failed: \${cause}\`);`,
  },
  {
    ...channelsOf,
    guard: 'invalid messages are reported once per channel',
    find: `this.#reported.has(channel) || this.#reported.size >= MAX_REPORTED`,
    replace: `this.#reported.size >= MAX_REPORTED`,
  },
  {
    ...channelsOf,
    guard: 'invalid messages are reported for a bounded number of channels',
    find: `this.#reported.has(channel) || this.#reported.size >= MAX_REPORTED`,
    replace: `this.#reported.has(channel)`,
  },
  {
    ...composite,
    guard: 'a channel that is not open keeps the client’s position',
    find: `return isCursor(start) ? set.part(index, start) : undefined;`,
    replace: `return start === '' ? set.part(index, start) : undefined;`,
  },
  {
    ...composite,
    guard: 'no id contains a channel before its reset was sent',
    find: `if (start !== '') this`,
    replace: `this`,
  },
  {
    ...composite,
    guard: 'tags of the channels of a connection are unique',
    find: `new Set(tags).size === channels.length`,
    replace: `tags.length === channels.length`,
  },
  {
    ...composite,
    guard: 'a cursor that base 36 would change stays as it is',
    find: `ms < MAX_SHORT_MS && \`\${ms}-\${n}\` === cursor`,
    replace: `true`,
  },
  {
    ...composite,
    guard: 'connections share equal ids',
    find: `    this.set.last = { from: this.#id, event, part, to };\n`,
    replace: '',
  },
  {
    ...composite,
    guard: 'an id is not made from parts that have moved since, by a step of another connection',
    find: `      if (index !== this.#moving) this.#moving = -1;\n`,
    replace: '',
  },
  {
    ...composite,
    guard: 'an id is not made from parts that have moved since, by further channels',
    find: `    this.#moving = -1;\n    this.#id = joined(`,
    replace: `    this.#id = joined(`,
  },
  {
    ...composite,
    guard: 'an id is made anew around another channel',
    find: `    if (index !== this.#moving) {`,
    replace: `    if (this.#moving < 0) {`,
  },
  {
    ...composite,
    guard: 'only connections at the same position share ids',
    find: ` && last.from === this.#id`,
    replace: '',
  },
  {
    ...opening,
    guard: 'live channels wait a limited time for other channels',
    find: `if (open && this.#left.length > 1) {`,
    replace: `if (open && this.#left.length > 1_000) {`,
  },
  {
    ...opening,
    guard: 'a connection does not open without a live channel',
    find: `    if (live.length === 0) return;\n`,
    replace: '',
    tests: [OPENING_SPEC, 'test/shutdown.spec.ts › opens connections with only response headers'],
  },
  {
    ...opening,
    guard: 'a closed connection opens no further channels',
    find: `    this.#left = [];\n    this.#forget();`,
    replace: `    this.#forget();`,
  },
  {
    ...composite,
    guard: 'each part of a composite cursor is a cursor',
    find: `    if (!tag || !isCursor(cursor)) return undefined;\n`,
    replace: `    if (!tag || !isCursor(cursor)) continue;\n`,
  },
  {
    ...composite,
    guard: 'a connection with several channels has back-pressure',
    find: `    return this.composite.subscriber.drained?.();`,
    replace: `    return undefined;`,
  },
];

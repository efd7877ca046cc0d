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
    guard: 'a stream without history has no cursors of those who keep one',
    find: `message.id === message.cursor ? undefined : message.id`,
    replace: `message.id`,
  },
  {
    ...channelsOf,
    guard: 'a connection unsubscribes once',
    find: `      if (!isOpen) return;\n`,
    replace: '',
  },
  {
    ...channelsOf,
    guard: 'a channel is not given up while it has streams',
    find: `if (!entry || --entry.users > 0) return;`,
    replace: `if (!entry) return;`,
  },
  {
    ...channelsOf,
    guard: 'a channel that is taken up again is not given up',
    find: `    clearTimeout(entry.linger);\n`,
    replace: '',
  },
  {
    ...channelsOf,
    guard: 'a channel is given up a while after its last stream',
    find: `this.bounds.lingerMs ?? LINGER_MS`,
    replace: `0`,
  },
  {
    ...channelsOf,
    guard: 'a channel without streams gives way to one that is wanted',
    find: `this.#entries.size - this.#lingering.size + channels`,
    replace: `this.#entries.size + channels`,
    tests: ['test/shares.spec.ts'],
  },
  {
    ...channelsOf,
    guard: 'no more channels are subscribed than there may be',
    find: `      if (oldest !== undefined && this.size >= (this.bounds.max ?? Infinity)) this.#forget(oldest);\n`,
    replace: '',
    tests: ['test/shares.spec.ts'],
  },
  {
    ...channelsOf,
    guard: 'each channel is audited now and then',
    find: `return { hub, users: 0, audit };`,
    replace: `clearInterval(audit);\n    return { hub, users: 0 };`,
  },
  {
    ...channelsOf,
    guard: 'a closed connection looks for no position',
    find: `const isWanted = () => isOpen && !this.#closed;`,
    replace: `const isWanted = () => true;`,
  },
  {
    ...channelsOf,
    guard: 'a stream that does not know its position is reset in each channel before any event',
    find: `const none = isCursor(id) ? id : '';`,
    replace: `const none = id;`,
  },
  {
    ...channelsOf,
    guard: 'what goes wrong with one stream ends that stream',
    find: `connection ends, as it failed: \${cause}\`);\n      subscriber.complete();`,
    replace: `connection ends, as it failed: \${cause}\`);`,
  },
  {
    ...channelsOf,
    guard: 'messages that are none are reported once for each channel',
    find: `this.#reported.has(channel) || this.#reported.size >= MAX_REPORTED`,
    replace: `this.#reported.size >= MAX_REPORTED`,
  },
  {
    ...channelsOf,
    guard: 'messages that are none are reported for a bounded number of channels',
    find: `this.#reported.has(channel) || this.#reported.size >= MAX_REPORTED`,
    replace: `this.#reported.has(channel)`,
  },
  {
    ...composite,
    guard: 'a channel that is not open keeps the position that the client came with',
    find: `return isCursor(start) ? set.part(index, start) : undefined;`,
    replace: `return start === '' ? set.part(index, start) : undefined;`,
  },
  {
    ...composite,
    guard: 'no id claims a channel whose reset the client has not got',
    find: `if (starts.get(channel) !== '') this`,
    replace: `this`,
  },
  {
    ...composite,
    guard: 'no two channels of a stream have the same tag',
    find: `new Set(tags).size === channels.length`,
    replace: `tags.length === channels.length`,
  },
  {
    ...composite,
    guard: 'a cursor that base 36 would change stays as it is',
    find: `lengthen(short) === cursor ? short : cursor`,
    replace: `short`,
  },
  {
    ...composite,
    guard: 'streams make the same id once',
    find: `    if (this.#last?.from === from && this.#last.event === event) return this.#last.to;\n`,
    replace: '',
  },
  {
    ...composite,
    guard: 'streams that come to the same position go on together',
    find: `this.#last?.to.id === id ? this.#last.to : { parts, id }`,
    replace: `({ parts, id })`,
  },
  {
    ...opening,
    guard: 'channels that are live do not wait for others for ever',
    find: `if (open && this.#left.length > 1) {`,
    replace: `if (open && this.#left.length > 1_000) {`,
  },
  {
    ...opening,
    guard: 'a stream does not begin without any channel',
    find: `    if (live.length === 0) return;\n`,
    replace: '',
    tests: [OPENING_SPEC, 'test/shutdown.spec.ts › opens connections with only response headers'],
  },
  {
    ...opening,
    guard: 'a stream that was given up opens no further channels',
    find: `    this.#left = [];\n    this.#forget();`,
    replace: `    this.#forget();`,
  },
  {
    ...composite,
    guard: 'a composite cursor is one in all its parts',
    find: `    if (!tag || !isCursor(cursor)) return undefined;\n`,
    replace: `    if (!tag || !isCursor(cursor)) continue;\n`,
  },
  {
    ...composite,
    guard: 'a stream of several channels goes as fast as its subscriber takes it',
    find: `    drained: () => subscriber.drained?.(),\n`,
    replace: '',
  },
];

const BROKER_SPEC = 'test/broker.spec.ts';
const HISTORY_SPEC = 'test/broker.history.spec.ts';
const CURSORS_SPEC = 'test/broker.cursors.spec.ts';
const MODEL_SPEC = 'test/brokers.model.spec.ts';
const WIRE_FORMAT = 'test/wire-format.spec.ts';

const broker = {
  file: 'src/broker/memory/memory.broker.ts',
  tests: [BROKER_SPEC, MODEL_SPEC],
};
const message = { file: 'src/event/message.ts', tests: ['src/event/message.spec.ts', WIRE_FORMAT] };

export const memory = [
  {
    ...broker,
    guard: 'an idempotency key counts once',
    find: `    if (first !== undefined) return first;\n`,
    replace: '',
  },
  {
    ...broker,
    guard: 'an event that a subscriber publishes follows the one being delivered',
    find: `    queueMicrotask(() => {\n      if (listener && this.#listeners.get(channel) === listener) listener.onMessage(text);\n    });`,
    replace: `    listener?.onMessage(text);`,
  },
  {
    ...broker,
    guard: 'no event arrives after an unsubscription',
    find: `if (listener && this.#listeners.get(channel) === listener) listener.onMessage(text);`,
    replace: `listener?.onMessage(text);`,
  },
  {
    ...broker,
    guard: 'a cancelled subscription does not start',
    find: `if (this.#listeners.get(channel) === listener) listener.onSubscribed();`,
    replace: `listener.onSubscribed();`,
  },
  {
    ...broker,
    file: 'src/broker/memory/chain.ts',
    guard: 'a history is bounded by count',
    find: `    this.#start = Math.max(this.#start, length - maxEvents);\n`,
    replace: ``,
    tests: [HISTORY_SPEC, MODEL_SPEC],
  },
  {
    ...broker,
    file: 'src/broker/memory/chain.ts',
    guard: 'a history is bounded by age',
    find: `    while (this.#start < length && this.#entries[this.#start]!.at < since) this.#start++;\n`,
    replace: ``,
    tests: [HISTORY_SPEC, MODEL_SPEC],
  },
  {
    ...broker,
    file: 'src/broker/memory/expiring-map.ts',
    guard: 'expired values are not returned',
    find: `entry && entry.expires > performance.now() ? entry.value : undefined`,
    replace: `entry?.value`,
    tests: ['src/broker/memory/expiring-map.spec.ts'],
  },
  {
    ...broker,
    guard: 'a channel without events expires soon',
    find: `(known === undefined ? this.#beginnings : this.#positions)`,
    replace: `this.#positions`,
    tests: ['test/unused-channels.spec.ts'],
  },
  {
    ...broker,
    file: 'src/broker/memory/cursor.ts',
    guard: 'cursors increase when the clock goes back',
    find: `if (now > prevMs) return`,
    replace: `return`,
    tests: [CURSORS_SPEC, MODEL_SPEC],
  },
  {
    ...broker,
    file: 'src/broker/memory/chain.ts',
    guard: 'a page is bounded by size',
    find: ` || size >= PAGE_BYTES`,
    replace: ``,
    tests: [HISTORY_SPEC, MODEL_SPEC],
  },
  {
    ...broker,
    file: 'src/broker/memory/chain.ts',
    guard: 'the position before the oldest event is known',
    find: `cursor === tip || cursor === trimmed || `,
    replace: `cursor === tip || `,
    tests: [HISTORY_SPEC, MODEL_SPEC],
  },
  {
    ...broker,
    guard: 'an id that was used before is marked',
    find: `const reused = chain.has(id);`,
    replace: `const reused = false;`,
    tests: [HISTORY_SPEC, MODEL_SPEC],
  },
  {
    ...message,
    guard: 'the last member with the data counts',
    find: `rest.includes('"data"') || rest.includes('\\\\')`,
    replace: `rest === ''`,
    tests: ['src/event/message.spec.ts'],
  },
  {
    ...message,
    guard: 'no field contains a line break or NUL',
    find: ` && !/[\\r\\n\\0]/.test(value)`,
    replace: '',
    tests: [WIRE_FORMAT],
  },
  {
    ...message,
    guard: 'other programs cannot send control events',
    find: `  if (type?.startsWith('sse.')) return undefined;\n`,
    replace: '',
    tests: [WIRE_FORMAT],
  },
  {
    ...message,
    guard: 'an id of another program is not a cursor',
    find: `cursor === undefined && isCursor(ownId) ? undefined : ownId`,
    replace: `ownId`,
    tests: [WIRE_FORMAT],
  },
  {
    ...message,
    guard: 'data that is nested too deeply is dropped',
    find: `  if (isTooDeep(json)) return undefined;\n`,
    replace: ``,
    tests: [WIRE_FORMAT],
  },
  {
    ...message,
    guard: 'an entry of another version is skipped',
    find: `version === EVENT_VERSION ? decodeMessage(body) : undefined`,
    replace: `decodeMessage(body)`,
  },
  {
    ...message,
    guard: 'unreadable entries are skipped',
    find: `return message ? [{ ...message,`,
    replace: `return true ? [{ ...message,`,
  },
];

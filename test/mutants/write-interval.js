const outbox = { file: 'src/http/outbox.ts', tests: ['src/http/outbox.spec.ts'] };
const SPEC = 'test/write-interval.spec.ts';

export const writeInterval = [
  {
    ...outbox,
    guard: 'events of an interval wait for its end',
    find: `return isLate ? this.#late.add(response) : this.#atOnce(response);`,
    replace: `return isLate ? this.#atOnce(response) : this.#atOnce(response);`,
  },
  {
    ...outbox,
    guard: 'the first event after a silence does not wait for others',
    find: ` && response.writtenIn === this.#interval`,
    replace: '',
  },
  {
    ...outbox,
    guard: 'after a write, a response waits for the interval',
    find: `      response.writtenIn = interval;\n`,
    replace: '',
  },
  {
    ...outbox,
    guard: 'one clock runs for all responses',
    find: `this.#clock ??= setTimeout`,
    replace: `this.#clock = setTimeout`,
  },
  {
    ...outbox,
    guard: 'the clock stops when there is nothing to send',
    find: `    if (this.#late.isEmpty) {\n      this.#clock = undefined;\n      return;\n    }\n`,
    replace: '',
  },
  {
    ...outbox,
    guard: 'the clock goes on while there is something to send',
    find: `    this.#clock!.refresh();\n`,
    replace: '',
  },
  {
    ...outbox,
    guard: 'a response that hurries is written at the end of the turn',
    find: `    if (this.#clock) this.#atOnce(response);\n`,
    replace: '',
  },
  {
    file: 'src/http/sse-response.ts',
    guard: 'a flood within an interval does not wait for its end',
    find: `    if (this.#batch.isLarge && !before.isLarge) this.outbox.hurry(this);\n`,
    replace: '',
    tests: [`${SPEC} › on Fastify a flood`],
  },
  {
    file: 'src/http/sse-response.ts',
    guard: 'a heartbeat does not make the next event wait',
    find: `this.write(BEAT);`,
    replace: `this.append(HEARTBEAT);`,
    tests: ['src/http/sse-response.spec.ts'],
  },
  {
    file: 'src/http/sse-response.ts',
    guard: 'a heartbeat replaces no waiting events',
    find: ` && !this.#batch) this.write(BEAT);`,
    replace: `) this.write(BEAT);`,
    tests: ['src/http/sse-response.spec.ts'],
  },
  {
    file: 'src/http/sse-responses.ts',
    guard: 'a route may have an interval of its own',
    find: `this.#outboxOf(target.writeIntervalMs)`,
    replace: `this.#outboxOf()`,
    tests: [`${SPEC} › on Fastify 0, all events`],
  },
  {
    file: 'src/http/sse-responses.ts',
    guard: 'the connections of an interval share batches and a timer',
    find: `    this.#outboxes.set(intervalMs, outbox);\n`,
    replace: '',
    tests: [`${SPEC} › on Fastify 0, all events`],
  },
  {
    file: 'src/routes/sse-channel.interceptor.ts',
    guard: 'the interval of a route has bounds',
    find: `  checkWriteInterval(writeIntervalMs);\n`,
    replace: '',
    tests: [`${SPEC} › The interval of a route`],
  },
];

const SENDER_SPEC = 'src/broker/redis/publication-queue.spec.ts';
const LIMITS_SPEC = 'src/broker/redis/publication-queue.limits.spec.ts';
const PUBLISH_SPEC = 'test/publish.spec.ts';
const ORDER_SPEC = 'test/publish.order.spec.ts';
const REFUSALS_SPEC = 'test/publish.refusals.spec.ts';
const inOrder = (name) => [`${ORDER_SPEC} › ${name}`];
const inBounds = (name) => [`test/publish.bounds.spec.ts › ${name}`];

const publisherOf = (mutant) => ({
  file: 'src/broker/redis/publication-queue.ts',
  tests: [SENDER_SPEC, PUBLISH_SPEC, ORDER_SPEC, REFUSALS_SPEC],
  ...mutant,
});

export const publisher = [
  {
    guard: 'the number of pending publications is bounded',
    file: 'src/broker/redis/publisher.ts',
    find: `count <= MAX_PENDING && `,
    replace: '',
    tests: inBounds('accepts a bounded number and size'),
  },
  {
    guard: 'the memory of pending publications is bounded',
    file: 'src/broker/redis/publisher.ts',
    find: ` && size <= MAX_PENDING_SIZE`,
    replace: '',
    tests: inBounds('accepts a bounded number and size'),
  },
  {
    guard: 'a closed publisher rejects publications',
    file: 'src/broker/redis/publisher.ts',
    find: `    if (this.#closing) return closedError();\n`,
    replace: '',
  },
  {
    guard: 'closing rejects publications that are not confirmed',
    file: 'src/broker/redis/publisher.ts',
    find: `    for (const queue of queues) queue.close();\n`,
    replace: '',
  },
  {
    guard: 'a temporary refusal is retried',
    file: 'src/broker/redis/publication.ts',
    find: `    return !this.unanswered || (`,
    replace: `    return this.unanswered && (`,
    tests: inOrder('publishes in call order after Redis has refused'),
  },
  {
    guard: 'a permanent refusal rejects at once',
    file: 'src/broker/redis/publication.ts',
    find: `this.isOrphaned || isFinal(error)`,
    replace: `this.isOrphaned`,
  },
  {
    guard: 'a transient event that may have been sent is not sent again',
    file: 'src/broker/redis/publication.ts',
    find: `this.command.isRepeatable && performance`,
    replace: `performance`,
  },
  {
    guard: 'a transient event that was not sent is sent again',
    file: 'src/broker/redis/publication.ts',
    find: `const wasSent = !error.message.startsWith('Stream isn');`,
    replace: `const wasSent = true;`,
  },
  {
    guard: 'nothing is retried while anything is in flight',
    find: ` && !this.#retry && this.#inFlight === 0)`,
    replace: ` && !this.#retry)`,
  },
  {
    guard: 'retries keep call order',
    find: `  *#allWaiting(): Generator<Pending> {\n    for (const publication of this.#publications)`,
    replace: `  *#allWaiting(): Generator<Pending> {\n    for (const publication of [...this.#publications].reverse())`,
  },
  {
    guard: 'a retry goes before later publications',
    find: `      publication.state = 'waiting';\n      this.#waiting++;\n`,
    replace: `      publication.state = 'waiting';\n      this.#waiting++;\n      this.#publications.delete(publication);\n      this.#publications.add(publication);\n`,
    tests: inOrder('publishes in call order after Redis has refused'),
  },
  {
    guard: 'one event goes first as a probe',
    find: `    this.#state = first ? 'probing' : 'open';\n    if (first) this.#send(first);\n    else this.#attempts = 0;`,
    replace: `    this.#state = 'open';\n    if (first) this.flush();`,
  },
  {
    guard: 'each publication names its unanswered predecessor',
    find: `const after = this.#latest.get(command.channel)?.last;`,
    replace: `const after = undefined;`,
    tests: [SENDER_SPEC, ...inOrder('stores an event before the later ones of its channel')],
  },
  {
    guard: 'an answered publication is not a predecessor',
    find: `    if (this.#latest.get(channel) === publication) this.#latest.delete(channel);\n`,
    replace: '',
    tests: [SENDER_SPEC],
  },
  {
    guard: 'earlier attempts are searched for',
    find: `      this.#search ??= setTimeout(() => void this.#find(), GATHER_MS).unref();\n`,
    replace: '',
    tests: [`${PUBLISH_SPEC} › stores an event once when the reply is lost`],
  },
  {
    guard: 'after a finally refused probe, the rest is sent',
    find: `      this.#giveUp(publication);\n      this.#goOn();`,
    replace: `      this.#giveUp(publication);`,
  },
  {
    guard: 'the queue opens if no publications are to be retried',
    find: `    this.#state = first ? 'probing' : 'open';`,
    replace: `    this.#state = first ? 'probing' : 'paused';`,
    tests: [LIMITS_SPEC],
  },
  {
    guard: 'the script text is sent after Redis has flushed it',
    find: `      if (error.name === 'ReplyError') this.#route.connection.knownScripts.clear();\n`,
    replace: '',
    tests: inOrder('keeps the order of the calls when scripts are flushed'),
  },
  {
    guard: 'the script text is sent on a new connection',
    file: 'src/broker/redis/connection.ts',
    find: `    this.client.on('close', () => this.knownScripts.clear());\n`,
    replace: '',
    tests: ['test/connection.spec.ts'],
  },
  {
    guard: 'a publication that timed out is not sent later',
    find: `    if (publication.state !== 'sent') this.#remove(publication);\n`,
    replace: '',
    tests: inOrder('does not retry a publication that it has rejected'),
  },
  {
    guard: 'a publication has a deadline',
    find: `      if (publication.since > due) return;\n`,
    replace: `      if (publication.since > due - 10_000) return;\n`,
    tests: ['test/publish.outage.spec.ts › reports that an event may be published when Redis hangs'],
  },
  {
    guard: 'a process that was blocked does not take its own delay for that of Redis',
    file: 'src/broker/redis/connection.ts',
    find: `socketTimeout: undefined`,
    replace: `socketTimeout: replyMs`,
    tests: ['test/redis.outage.spec.ts › keeps its connections and takes the replies'],
  },
  {
    guard: 'a server that answers slowly does not hang',
    file: 'src/broker/redis/reply-watch.ts',
    find: ` && !hasHeard`,
    replace: '',
    tests: ['test/redis.outage.spec.ts › keeps its connections to a slow Redis'],
  },
  {
    guard: 'a server that sends nothing to subscribers hangs',
    file: 'src/broker/redis/subscriber.ts',
    find: `'subscriber', 5_000`,
    replace: `'subscriber', Infinity`,
    tests: ['test/subscriber.spec.ts › notices a hung Redis'],
  },
  {
    guard: 'the time of a blocked process does not count for the deadline of a publication',
    find: `new AwakeClock()`,
    replace: `{\n    get now() {\n      return performance.now();\n    },\n    tick: () => performance.now(),\n  }`,
    tests: ['test/redis.outage.spec.ts › keeps its connections and takes the replies'],
  },
  {
    guard: 'constant load does not prolong the deadlines',
    file: 'src/broker/redis/awake-clock.ts',
    find: `Math.min(performance.now() - this.#ticked, 2 * TICK_MS)`,
    replace: `TICK_MS`,
    tests: ['src/broker/redis/awake-clock.spec.ts'],
  },
  {
    guard: 'a publication that may be stored is not sent again after a long suspension',
    file: 'src/broker/redis/publication.ts',
    find: ` && performance.now() - this.#created < SAFE_MS`,
    replace: '',
    tests: [`${LIMITS_SPEC} › does not send a publication again`],
  },
  {
    guard: 'a search is repeated after the connection broke',
    file: 'src/broker/redis/publication.ts',
    find: `name === 'ReplyError' && !TEMPORARY.test(message)`,
    replace: `!TEMPORARY.test(message)`,
  },
  {
    guard: 'a search is repeated after a temporary refusal',
    file: 'src/broker/redis/publication.ts',
    find: `name === 'ReplyError' && !TEMPORARY.test(message)`,
    replace: `name === 'ReplyError'`,
  },
  {
    guard: 'a forbidden search rejects at once',
    find: `if (!isFinal(error as Error)) return;`,
    replace: `return;`,
  },
  {
    guard: 'a sent and unanswered publication may be published',
    file: 'src/broker/redis/publication.ts',
    find: `unanswered || isSent`,
    replace: `unanswered`,
    tests: [SENDER_SPEC],
  },
  {
    file: 'src/broker/redis/script.ts',
    guard: 'a script that Redis has flushed is sent as text',
    find: `      if ((error as Error).message.startsWith('NOSCRIPT')) return this.load(route, ...call);\n`,
    replace: '',
  },
].map(publisherOf);

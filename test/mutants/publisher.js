const SENDER_SPEC = 'src/broker/redis.sender.spec.ts';
const PUBLISH_SPEC = 'test/publish.spec.ts';
const inPublish = (name) => [`${PUBLISH_SPEC} › ${name}`];

const publisherOf = (mutant) => ({
  file: 'src/broker/redis.sender.ts',
  tests: [SENDER_SPEC, PUBLISH_SPEC],
  ...mutant,
});

export const publisher = [
  {
    guard: 'a bounded number of publications waits',
    file: 'src/broker/redis.publisher.ts',
    find: `this.#held.count >= MAX_PENDING || `,
    replace: '',
    tests: inPublish('takes no more than its bounds'),
  },
  {
    guard: 'publications that wait take a bounded memory',
    file: 'src/broker/redis.publisher.ts',
    find: ` || this.#held.size + sending.size > MAX_PENDING_SIZE`,
    replace: '',
    tests: inPublish('takes no more than its bounds'),
  },
  {
    guard: 'a closed publisher takes nothing',
    file: 'src/broker/redis.publisher.ts',
    find: `    if (this.#closing) return Promise.reject(closedError());\n`,
    replace: '',
  },
  {
    guard: 'closing fails what is not sent',
    file: 'src/broker/redis.publisher.ts',
    find: `    for (const sender of senders) sender.close();\n`,
    replace: '',
  },
  {
    guard: 'a refusal that passes is waited for',
    file: 'src/broker/redis.pending.ts',
    find: `refused ? !isFinal(error) : `,
    replace: `refused ? false : `,
    tests: inPublish('goes on in order after Redis has refused'),
  },
  {
    guard: 'a refusal that does not pass fails at once',
    file: 'src/broker/redis.pending.ts',
    find: `refused ? !isFinal(error) : `,
    replace: `refused ? true : `,
  },
  {
    guard: 'a transient event that may have been sent is not sent again',
    file: 'src/broker/redis.pending.ts',
    find: `!wasSent || this.sending.isRepeatable`,
    replace: `true`,
  },
  {
    guard: 'a transient event that was not sent is sent again',
    file: 'src/broker/redis.pending.ts',
    find: `const wasSent = refused || !error.message.startsWith('Stream isn');`,
    replace: `const wasSent = true;`,
  },
  {
    guard: 'nothing is sent again before everything under way has ended',
    find: ` && !this.#retry && this.#sent.size === 0)`,
    replace: ` && !this.#retry)`,
  },
  {
    guard: 'what is to be sent again goes in the order of the calls',
    find: `[...this.#failed].toSorted((a, b) => a.number - b.number)`,
    replace: `[...this.#failed]`,
  },
  {
    guard: 'what is to be sent again goes first',
    find: `[...again, ...this.#queue]`,
    replace: `[...this.#queue, ...again]`,
    tests: inPublish('goes on in order after Redis has refused'),
  },
  {
    guard: 'one event goes first as a probe',
    find: `    this.#state = probe ? 'probing' : 'sending';\n    if (probe) this.#send(probe);\n    else this.#attempts = 0;`,
    replace: `    this.#state = 'sending';\n    this.flush();`,
  },
  {
    guard: 'each publication names the one before it that is unanswered',
    find: `const after = this.#latest.get(sending.channel)?.number;`,
    replace: `const after = undefined;`,
    tests: [SENDER_SPEC, ...inPublish('stores an event before the later ones of its channel')],
  },
  {
    guard: 'what is answered is named no more',
    find: `    if (this.#latest.get(channel) === pending) this.#latest.delete(channel);\n`,
    replace: '',
    tests: [SENDER_SPEC],
  },
  {
    guard: 'what was executed before is looked for',
    find: `      this.#search ??= setTimeout(() => void this.#find(), GATHER_MS).unref();\n`,
    replace: '',
    tests: inPublish('stores an event once when the reply is lost'),
  },
  {
    guard: 'after a probe that was refused for good the rest goes on',
    find: `      this.#giveUp(pending);\n      this.#goOn();`,
    replace: `      this.#giveUp(pending);`,
  },
  {
    guard: 'without anything to send again the rest goes on',
    find: `    this.#state = probe ? 'probing' : 'sending';`,
    replace: `    this.#state = probe ? 'probing' : 'recovering';`,
  },
  {
    guard: 'the script is sent as a whole after Redis forgot it',
    find: `      if (error.name === 'ReplyError') this.#place.connection.knowsScripts = false;\n`,
    replace: '',
    tests: inPublish('keeps to the order of the calls when scripts are flushed'),
  },
  {
    guard: 'the script is sent as a whole on a new connection',
    file: 'src/broker/redis.connection.ts',
    find: `    this.client.on('close', () => (this.knowsScripts = false));\n`,
    replace: '',
    tests: ['test/connection.spec.ts'],
  },
  {
    guard: 'what was given up is not published later',
    find: ` || this.#failed.delete(pending)`,
    replace: '',
    tests: inPublish('does not publish later what it has given up'),
  },
  {
    guard: 'a publication has a deadline',
    find: `if (pending.since <= due) this.#giveUp(pending);`,
    replace: `if (pending.since <= due - 10_000) this.#giveUp(pending);`,
    tests: inPublish('says that an event may be published when Redis hangs for too long'),
  },
  {
    guard: 'where the connection breaks while it looks, it looks again',
    file: 'src/broker/redis.pending.ts',
    find: `name === 'ReplyError' && !PASSING.test(message)`,
    replace: `!PASSING.test(message)`,
  },
  {
    guard: 'where Redis refuses for a while that it looks, it looks again',
    file: 'src/broker/redis.pending.ts',
    find: `name === 'ReplyError' && !PASSING.test(message)`,
    replace: `name === 'ReplyError'`,
  },
  {
    guard: 'where it may not look, it gives up at once',
    find: `if (!isFinal(error as Error)) return;`,
    replace: `return;`,
  },
  {
    guard: 'what is sent and unanswered may be published',
    file: 'src/broker/redis.pending.ts',
    find: `unanswered || isSent`,
    replace: `unanswered`,
    tests: [SENDER_SPEC],
  },
  {
    file: 'src/broker/redis.script.ts',
    guard: 'a script that Redis has forgotten is sent as a whole',
    find: `      if ((error as Error).message.startsWith('NOSCRIPT')) return this.load(place, ...call);\n`,
    replace: '',
  },
].map(publisherOf);

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
    find: `!wasSent || this.sending.repeatable !== 'never'`,
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
    guard: 'a refused event that was overtaken is not sent again',
    find: `      if (!pending.unanswered && executed > pending.number) this.#giveUp(pending);\n`,
    replace: '',
    tests: inPublish('does not send an event after a later one of its channel'),
  },
  {
    guard: 'what is executed while others are to be sent again overtakes them',
    find: `    else if (this.#state === 'recovering') this.#overtake(pending);\n`,
    replace: '',
    tests: inPublish('does not send an event after a later one of its channel'),
  },
  {
    guard: 'what is found overtakes what was refused',
    find: `      this.#overtake(pending);\n      this.#settle`,
    replace: `      this.#settle`,
  },
  {
    guard: 'each attempt has a nonce of its own',
    find: `    this.#prefix = newPrefix();\n`,
    replace: '',
    tests: inPublish('stores each event once, in the order of the calls, when replies'),
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
    find: `    this.#state = 'probing';\n    this.#send(probe);`,
    replace: `    this.#goOn();`,
  },
  {
    guard: 'after a probe that was refused for good the rest goes on',
    find: `      this.#giveUp(pending);\n      if (this.#state === 'probing') this.#goOn();`,
    replace: `      this.#giveUp(pending);`,
  },
  {
    guard: 'without anything to send again the rest goes on',
    find: `if (!probe) return this.#goOn();`,
    replace: `if (!probe) return;`,
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
    guard: 'what is unanswered is looked for before it is sent again',
    find: `      await this.#findUnanswered();\n`,
    replace: '',
    tests: inPublish('stores an event once when the reply is lost'),
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
    find: `if (!isFinal(error as Error)) throw error;`,
    replace: `throw error;`,
  },
  {
    guard: 'all that look end before they look again',
    find: `const failed = (await Promise.allSettled(batch)).find(({ status }) => status === 'rejected');`,
    replace: `const failed = void (await Promise.all(batch));`,
  },
  {
    guard: 'what may have been published is not sent again',
    find: `} else if (isCertain) pending`,
    replace: `} else if (cursor === undefined) pending`,
    tests: [...inPublish('says that an event may be published when')],
  },
  {
    guard: 'what is sent and unanswered may be published',
    file: 'src/broker/redis.pending.ts',
    find: `unanswered || isSent`,
    replace: `unanswered`,
    tests: [SENDER_SPEC],
  },
  {
    guard: 'an attempt is looked for as far back as it was made, and not those before',
    find: `pending.sentAt = performance.now();`,
    replace: `pending.sentAt ??= performance.now();`,
    tests: [SENDER_SPEC],
  },
  {
    file: 'src/broker/redis.script.ts',
    guard: 'a script that Redis has forgotten is sent as a whole',
    find: `      if ((error as Error).message.startsWith('NOSCRIPT')) return this.load(place, ...call);\n`,
    replace: '',
  },
].map(publisherOf);

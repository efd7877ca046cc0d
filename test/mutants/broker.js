const REDIS_SPEC = 'test/redis.spec.ts';
const CONNECTION_SPEC = 'test/connection.spec.ts';
const SUBSCRIBER_SPEC = 'test/subscriber.spec.ts';
const PUBLISH_SPEC = 'test/publish.spec.ts';
const SHUTDOWN_SPEC = 'test/shutdown.spec.ts';

const redisBroker = { file: 'src/broker/redis.broker.ts', tests: [SUBSCRIBER_SPEC] };
const connection = { file: 'src/broker/redis.connection.ts', tests: [CONNECTION_SPEC] };
const subscriber = { file: 'src/broker/redis.subscriber.ts', tests: [SUBSCRIBER_SPEC] };

export const broker = [
  {
    ...connection,
    guard: 'a connection that ioredis has given up is made anew',
    find: `      this.#again = setTimeout(() => this.client.connect().catch(() => undefined), retryMs(1));\n`,
    replace: '',
  },
  {
    ...connection,
    guard: 'behind Sentinel, a sentinel that hangs is left',
    find: `      sentinelCommandTimeout: 2_000,\n`,
    replace: '',
    tests: ['test/sentinel.spec.ts › a sentinel that hangs'],
  },
  {
    ...connection,
    guard: 'behind Sentinel, a master that hangs is left',
    find: `      failoverDetector: true,\n`,
    replace: '',
    tests: ['test/sentinel.spec.ts › a master that hangs'],
  },
  {
    ...redisBroker,
    guard: 'an outage is reported once',
    find: `this.#outage === undefined && !this.connected`,
    replace: `!this.connected`,
  },
  {
    ...redisBroker,
    guard: 'Redis is back when both connections are',
    find: `this.#outage !== undefined && this.connected`,
    replace: `this.#outage !== undefined`,
  },
  {
    ...redisBroker,
    guard: 'entries that cannot be read are left out',
    find: `events.filter((event): event is StoredEvent => event !== undefined)`,
    replace: `events as StoredEvent[]`,
    tests: ['test/wire-format.spec.ts › passes over entries'],
  },
  {
    ...redisBroker,
    guard: 'a page of entries that cannot be read ends behind them',
    find: `entries.at(-1)?.[0] ?? tip`,
    replace: `events.findLast((event) => event)?.cursor ?? tip`,
    tests: ['test/wire-format.spec.ts › passes over entries'],
  },
  {
    ...redisBroker,
    guard: 'what is unanswered is looked for as far as needed',
    find: `if (from === '') return {`,
    replace: `return {`,
    tests: [`${PUBLISH_SPEC} › finds an event among thousands`],
  },
  {
    ...redisBroker,
    guard: 'a server that hangs is noticed by the connection for commands',
    find: `{ socketTimeout: 3_000 }`,
    replace: `{}`,
    tests: [`${REDIS_SPEC} › notices a hung Redis`],
  },
  {
    ...connection,
    guard: 'ioredis sends nothing again',
    find: `maxRetriesPerRequest: 0`,
    replace: `maxRetriesPerRequest: null`,
  },
  {
    ...connection,
    guard: 'ioredis queues nothing',
    find: `enableOfflineQueue: false`,
    replace: `enableOfflineQueue: true`,
  },
  {
    ...connection,
    guard: 'ioredis does not subscribe again',
    find: `autoResubscribe: false`,
    replace: `autoResubscribe: true`,
    tests: [SUBSCRIBER_SPEC],
  },
  {
    ...connection,
    guard: 'a master that was demoted is left',
    find: `this.#leave() ? 1 : false`,
    replace: `false`,
  },
  {
    ...connection,
    guard: 'a master that was demoted is left once for hundreds of refusals',
    find: `this.#leave() ? 1 : false`,
    replace: `1`,
  },
  {
    ...connection,
    guard: 'another database than the one asked for is not used',
    find: `      if (error.message.includes('DB index') && !this.ready) this.client.disconnect(true);\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › does not take another database`],
  },
  {
    ...connection,
    guard: 'a bounded number of reads waits for a connection',
    find: `this.#closed || this.#waiting.size >= MAX_WAITING`,
    replace: `this.#closed`,
  },
  {
    ...connection,
    guard: 'a read waits for a connection for a bounded time',
    find: `setTimeout(() => fail(this.unreachable()), waitMs)`,
    replace: `undefined`,
  },
  {
    ...connection,
    guard: 'a read that waits is sent when the connection is there',
    find: `      for (const command of this.#waiting) command.send();\n`,
    replace: '',
  },
  {
    ...connection,
    guard: 'a read that waits fails when the connection is closed',
    find: `    for (const { fail } of this.#waiting) fail(this.unreachable());\n`,
    replace: '',
  },
  {
    ...connection,
    guard: 'a closed connection takes no read',
    find: `this.#closed || this.#waiting.size >= MAX_WAITING`,
    replace: `this.#waiting.size >= MAX_WAITING`,
  },
  {
    ...connection,
    guard: 'closing does not wait for a server that hangs',
    find: `await Promise.race([quit, sleep(CLOSE_MS, undefined, { ref: false })]);`,
    replace: `await quit;`,
    tests: [`${SHUTDOWN_SPEC} › ends at once while Redis is hung`],
  },
  {
    ...connection,
    guard: 'closing waits for what is in flight',
    find: `await Promise.race([quit, sleep(CLOSE_MS, undefined, { ref: false })]);`,
    replace: `void quit;`,
  },
  {
    ...connection,
    guard: 'the query of a URL does not change our settings',
    find: `    for (const name of Object.keys(options)) url.searchParams.delete(name);\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › keeps to its own settings`],
  },
  {
    ...subscriber,
    guard: 'a server that hangs is noticed by the connection that receives',
    file: 'src/broker/redis.connection.ts',
    find: `this.ready && this.client.ping()`,
    replace: `this.ready && Promise.resolve()`,
    tests: [`${REDIS_SPEC} › notices a hung Redis`],
  },
  {
    ...subscriber,
    guard: 'a listener that fails does not harm the others',
    find: `    try {\n      this.#listeners.get(channel)?.onMessage(text);\n    } catch (error) {\n      // An exception that left a listener of ioredis would end the process.\n      this.logger.error(error);\n    }`,
    replace: `    this.#listeners.get(channel)?.onMessage(text);`,
  },
  {
    ...subscriber,
    guard: 'an interrupted subscription is made anew',
    find: `    this.#acknowledged.clear();\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › goes on without a reset when the connections broke`],
  },
  {
    ...subscriber,
    guard: 'an interrupted channel is subscribed again',
    find: `      this.#unsettled.add(channel);\n      listener.onInterrupted();`,
    replace: `      listener.onInterrupted();`,
    tests: [`${REDIS_SPEC} › goes on without a reset when the connections broke`],
  },
  {
    ...subscriber,
    guard: 'a channel is told that it is interrupted',
    find: `      listener.onInterrupted();\n`,
    replace: '',
  },
  {
    ...subscriber,
    guard: 'a refusal from before an interruption does not count',
    find: `      if (generation !== this.#generation) return;\n`,
    replace: '',
  },
  {
    ...subscriber,
    guard: 'a refused channel does not keep the others from being subscribed',
    find: `if (channels.length > 1) {`,
    replace: `if (channels.length > 1_000) {`,
    tests: [`${REDIS_SPEC} › subscribes to what it may`],
  },
  {
    ...subscriber,
    guard: 'a refused channel is tried again',
    find: `setTimeout(retry, RETRY_MS)`,
    replace: `setTimeout(() => undefined, RETRY_MS)`,
    tests: [`${REDIS_SPEC} › subscribes to what it may`],
  },
  {
    ...subscriber,
    guard: 'a refused channel is reported once',
    find: `    if (!this.#refused.has(channel))\n      this.logger`,
    replace: `    this.logger`,
  },
  {
    ...subscriber,
    guard: 'a channel that was given up and is wanted again is live',
    find: `        if (this.#acknowledged.has(name)) this.#listeners.get(name)!.onSubscribed();\n`,
    replace: '',
    tests: ['test/broker.spec.ts'],
  },
  {
    ...subscriber,
    guard: 'one loop settles what is to be subscribed',
    find: `    if (this.#settling) return;\n`,
    replace: '',
  },
  {
    ...subscriber,
    guard: 'an acknowledgement from before an interruption does not count',
    find: `    if (generation !== this.#generation) return;\n    for (const channel of channels) {`,
    replace: `    for (const channel of channels) {`,
  },
];

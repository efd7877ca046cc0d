const HUB_SPEC = 'src/channel/channel-hub.spec.ts';
const MODEL = 'test/resume.model.spec.ts';
const CHANNELS_SPEC = 'src/channel/channels.spec.ts';

const replay = { file: 'src/channel/replay.ts', tests: [HUB_SPEC, MODEL] };
const ring = { file: 'src/channel/ring.ts', tests: [HUB_SPEC, MODEL] };
const backlog = { file: 'src/channel/backlog.ts', tests: [HUB_SPEC] };
const reader = {
  file: 'src/channel/history-reader.ts',
  tests: [HUB_SPEC, CHANNELS_SPEC, 'src/channel/history-reader.spec.ts'],
};
const limiter = { file: 'src/limiter.ts', tests: ['src/limiter.spec.ts'] };
const liveness = { file: 'src/channel/liveness.ts', tests: [HUB_SPEC] };
const subscribers = { file: 'src/channel/subscribers.ts', tests: [HUB_SPEC] };
const liveHub = { file: 'src/channel/live-hub.ts', tests: ['src/channel/live-hub.spec.ts'] };
const channelsOf = { file: 'src/channel/channels.ts', tests: [CHANNELS_SPEC] };
const composite = { file: 'src/channel/composite.ts', tests: ['src/channel/composite.spec.ts'] };

export const channels = [
  {
    ...replay,
    guard: 'what is no position is not looked for',
    find: `    if (!isPosition(lastEventId)) return this.#reset('unknown');\n`,
    replace: '',
  },
  {
    ...replay,
    guard: 'a channel that is not live leaves its turn to the others',
    find: `    if (!this.hub.live) return position;\n`,
    replace: '',
    tests: ['src/channel/channels.catch-up.spec.ts'],
  },
  {
    ...replay,
    guard: 'a subscriber is not given up for what the ring has for it',
    find: `      await this.subscriber.drained?.();\n      return undefined;\n    }\n    const page`,
    replace: `      return undefined;\n    }\n    const page`,
  },
  {
    ...replay,
    guard: 'the limits count for what the ring has',
    find: `      if (!this.#isWithinLimits && this.#isTooMuch(rest)) return this.#end('limit');\n`,
    replace: ``,
  },
  {
    ...replay,
    guard: 'the limits count for what is read',
    find: `    if (isTooMuch) return this.#end('limit', page.tip);\n`,
    replace: ``,
  },
  {
    ...replay,
    guard: 'the limits count for all pages together',
    find: `bounds: this.#isWithinLimits ? undefined : this.#bounds,`,
    replace: `bounds: undefined,`,
  },
  {
    ...replay,
    guard: 'a subscriber that is ahead of its hub makes that catch up',
    find: `      this.#storeTip = page.tip;\n`,
    replace: ``,
    tests: [`${HUB_SPEC} › that is ahead of it`],
  },
  {
    ...replay,
    guard: 'a subscriber that leaves gets no more of a page',
    find: `this.#cancelled || !this.hub.subscribers.resend(`,
    replace: `!this.hub.subscribers.resend(`,
  },
  {
    ...replay,
    guard: 'a subscriber that fails gets no more of a page',
    find: `      if (this.#cancelled || !this.hub.subscribers.resend(this.subscriber, event)) return false;\n`,
    replace: `      if (this.#cancelled) return false;\n      this.hub.subscribers.resend(this.subscriber, event);\n`,
  },
  {
    ...replay,
    guard: 'an event on which a subscriber fails again is not sent for ever',
    find: `this.hub.subscribers.resend(`,
    replace: `this.hub.subscribers.send(`,
    tests: ['test/filters.spec.ts › that throws on an event withholds it'],
  },
  {
    ...replay,
    guard: 'a replay goes as fast as its subscriber takes it',
    find: `    await this.subscriber.drained?.();\n    return page.end;`,
    replace: `    return page.end;`,
  },
  {
    ...replay,
    guard: 'what was read for one is remembered for the next',
    find: `    this.hub.ring.prepend(page.after, page.events);\n`,
    replace: ``,
  },
  {
    ...replay,
    guard: 'a reset waits until the hub is live',
    find: `    if (!this.hub.live) await this.hub.untilLive();\n    // A reset`,
    replace: `    // A reset`,
  },
  {
    ...replay,
    guard: 'a reset takes nobody back behind the store',
    find: `if (storeTip !== undefined) await this.hub.reach(storeTip);`,
    replace: `if (storeTip === '') await this.hub.reach(storeTip);`,
  },
  {
    ...replay,
    guard: 'a subscriber that has left is not reset',
    find: `    if (this.#cancelled) return;\n    const { channel`,
    replace: `    const { channel`,
  },
  {
    ...replay,
    guard: 'the channels of a connection take turns',
    find: `turns ? turns.run(() => this.#advance(from)) : this.#advance(from)`,
    replace: `this.#advance(from)`,
    tests: ['src/channel/channels.catch-up.spec.ts'],
  },
  {
    ...replay,
    guard: 'a reading that fails is tried again, in another turn',
    find: `    if (!page) return position;\n`,
    replace: `    if (!page) return undefined;\n`,
  },
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
    guard: 'one that fails when the hub is live does not keep it from the others',
    find: `      try {\n        callback();\n      } catch (error) {\n        const cause = causeOf(error);\n        this.failures.error(cause, \`A connection failed as its channel came to life: \${cause}\`);\n      }\n`,
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
  {
    ...liveHub,
    guard: 'a stream without history waits until its channel is live',
    find: `    this.interrupt();\n`,
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
    guard: 'a stream that is opened after the close ends at once',
    find: `    if (this.#closed) {\n`,
    replace: `    if (this.#closed && !this.broker) {\n`,
    tests: ['test/module.spec.ts › completes the streams when it closes'],
  },
  {
    ...channelsOf,
    guard: 'a stream is given up once',
    find: `if (!this.#streams.delete(subscriber)) return;`,
    replace: `this.#streams.delete(subscriber);`,
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
    guard: 'nothing is looked for by a stream that has been given up',
    find: `() => !cancelled && !this.#closed)`,
    replace: `() => true)`,
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
    guard: 'a stream of several channels opens when all of them are there',
    find: `      if (--closed > 0) return;\n`,
    replace: `      --closed;\n`,
  },
  {
    ...composite,
    guard: 'a composite cursor is one in all its parts',
    find: `    if (part[TAG_LENGTH] !== '.' || !isCursor(cursor)) return undefined;\n`,
    replace: '',
  },
  {
    ...composite,
    guard: 'a stream of several channels goes as fast as its subscriber takes it',
    find: `    drained: () => subscriber.drained?.(),\n`,
    replace: '',
  },
];

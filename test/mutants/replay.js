const specsOf = (names) => names.map((name) => `src/channel/${name}.spec.ts`);
const HUB_SPECS = specsOf(['channel-hub', 'channel-hub.gaps', 'channel-hub.audits']);
const REPLAY_SPECS = specsOf(['replay', 'replay.resets']);
const MODEL = 'test/resume.model.spec.ts';
const CATCH_UP = ['src/channel/channels.catch-up.spec.ts'];

const replay = { file: 'src/channel/replay.ts', tests: [...REPLAY_SPECS, MODEL] };
const subscribers = { file: 'src/channel/subscribers.ts', tests: HUB_SPECS };

export const replays = [
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
    guard: 'a channel keeps its turn until the subscriber has read what the ring has',
    find: `      await drained;\n      return isBehind`,
    replace: `      return isBehind`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'a subscriber that is still behind is not live',
    find: `if (!isBehind) this.#join();`,
    replace: `this.#join();`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'a subscriber that is behind gets no more before it has read what it got',
    find: `    await this.subscriber.drained?.();\n    await this.run(position);`,
    replace: `    await this.run(position);`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'the limits do not count for one that was never away',
    find: `this.#isWithinLimits = this.#wasLive = true;`,
    replace: `this.#wasLive = true;`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'what is held for a subscriber is bounded',
    find: `    if (this.#held.length <= MAX_HELD && this.#heldSize <= MAX_HELD_SIZE) return;\n`,
    replace: `    return;\n`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'a reconnecting client is not disconnected for events that are not stored',
    find: `if (this.#wasLive) this.subscriber`,
    replace: `this.subscriber`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'a response that is closed causes no endless loop',
    find: `drained !== undefined && this.subscriber.isBehind === true`,
    replace: `this.subscriber.isBehind === true`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'what was held takes nobody back',
    find: `event.at(this.hub.tip)`,
    replace: `event`,
    tests: CATCH_UP,
  },
  {
    ...subscribers,
    guard: 'a subscriber that is behind leaves the live delivery',
    find: `if (onBehind && subscriber.isBehind) {`,
    replace: `if (onBehind === null) {`,
    tests: CATCH_UP,
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
    tests: ['src/channel/replay.spec.ts › waits for the hub if the client is ahead'],
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
    tests: ['test/filters.spec.ts › that throws on an event withholds only that event'],
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
    find: `    if (!this.hub.live) await this.hub.untilLive();\n    // The client may have been further`,
    replace: `    // The client may have been further`,
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
];

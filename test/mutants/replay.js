const specsOf = (names) => names.map((name) => `src/channel/${name}.spec.ts`);
const HUB_SPECS = specsOf([
  'channel-hub',
  'channel-hub.gaps',
  'channel-hub.lost-writes',
  'channel-hub.audits',
]);
const REPLAY_SPECS = specsOf(['replay', 'replay.resets']);
const MODEL = 'test/resume.model.spec.ts';
const CATCH_UP = ['src/channel/channels.catch-up.spec.ts'];

const replay = { file: 'src/channel/replay.ts', tests: [...REPLAY_SPECS, MODEL] };
const subscribers = { file: 'src/channel/subscribers.ts', tests: HUB_SPECS };

export const replays = [
  {
    ...replay,
    guard: 'an invalid position is not searched for',
    find: `isPosition(start) ? this.#run(start) : this.#reset('unknown')`,
    replace: `this.#run(start)`,
  },
  {
    ...replay,
    guard: 'a channel that is not live gives its turn to other channels',
    find: `    if (!this.hub.live) return position;\n`,
    replace: '',
    tests: ['src/channel/channels.catch-up.spec.ts'],
  },
  {
    ...replay,
    guard: 'a channel keeps its turn until the subscriber has read the events of the ring',
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
    guard: 'a subscriber that is behind gets no more before it has read the previous page',
    find: `    await this.subscriber.drained?.();\n    await this.#run(position);`,
    replace: `    await this.#run(position);`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'replay limits do not apply to a connected client',
    find: `this.#isWithinLimits = this.#wasLive = true;`,
    replace: `this.#wasLive = true;`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'events held for a subscriber are bounded',
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
    guard: 'held events do not move a subscriber back',
    find: `event.at(this.hub.tip)`,
    replace: `event`,
    tests: CATCH_UP,
  },
  {
    ...subscribers,
    guard: 'a subscriber that is behind leaves live delivery',
    find: `if (onBehind && subscriber.isBehind) {`,
    replace: `if (onBehind === null) {`,
    tests: CATCH_UP,
  },
  {
    ...replay,
    guard: 'replay limits apply to events of the ring',
    find: `      if (!this.#isWithinLimits && this.#isTooMuch(rest)) return this.#end('limit');\n`,
    replace: ``,
  },
  {
    ...replay,
    guard: 'replay limits apply to read events',
    find: `    if (isTooMuch) return this.#end('limit', page.tip);\n`,
    replace: ``,
  },
  {
    ...replay,
    guard: 'replay limits apply to all pages together',
    find: `bounds: this.#isWithinLimits ? undefined : this.#bounds,`,
    replace: `bounds: undefined,`,
  },
  {
    ...replay,
    guard: 'a subscriber that is ahead of its hub makes the hub catch up',
    find: `      this.#storeTip = page.tip;\n`,
    replace: ``,
    tests: ['src/channel/replay.spec.ts › waits for the hub if the client is ahead'],
  },
  {
    ...replay,
    guard: 'a subscriber that unsubscribes gets no more of a page',
    find: `this.#cancelled || !this.hub.subscribers.resend(`,
    replace: `!this.hub.subscribers.resend(`,
  },
  {
    ...replay,
    guard: 'a failing subscriber gets no more of a page',
    find: `      if (this.#cancelled || !this.hub.subscribers.resend(this.subscriber, event)) return false;\n`,
    replace: `      if (this.#cancelled) return false;\n      this.hub.subscribers.resend(this.subscriber, event);\n`,
  },
  {
    ...replay,
    guard: 'an event on which a subscriber fails twice is skipped',
    find: `this.hub.subscribers.resend(`,
    replace: `this.hub.subscribers.send(`,
    tests: ['test/filters.spec.ts › that throws on an event withholds only that event'],
  },
  {
    ...replay,
    guard: 'a replay has back-pressure',
    find: `    await this.subscriber.drained?.();\n    return page.end;`,
    replace: `    return page.end;`,
  },
  {
    ...replay,
    guard: 'events read for one replay are stored for the next',
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
    guard: 'a reset does not move a client behind the store',
    find: `if (storeTip !== undefined) await this.hub.reach(storeTip);`,
    replace: `if (storeTip === '') await this.hub.reach(storeTip);`,
  },
  {
    ...replay,
    guard: 'a closed subscriber is not reset',
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
    guard: 'a failed read is retried in another turn',
    find: `    if (!page) return position;\n`,
    replace: `    if (!page) return undefined;\n`,
  },
];

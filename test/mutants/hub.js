const file = 'src/channel/channel-hub.ts';
const hubs = ['channel-hub', 'channel-hub.gaps', 'channel-hub.lost-writes', 'channel-hub.audits'];
const specs = [...hubs, 'replay', 'replay.resets'];
const tests = [...specs.map((name) => `src/channel/${name}.spec.ts`), 'test/resume.model.spec.ts'];
const CATCH_UP = ['src/channel/channels.catch-up.spec.ts'];
const hubOf = (mutant) => ({ file, tests, ...mutant });

export const hub = [
  {
    guard: 'a message whose `prev` is not the tip is not the next one',
    find: `      if (prev !== this.#tip) return false;\n`,
    replace: '',
  },
  {
    guard: 'a known message is ignored',
    find: `      if (cursor === this.#tip || (!isNew && this.ring.has(cursor))) return true;\n`,
    replace: '',
  },
  {
    guard: 'a message that reveals a gap triggers a read',
    find: `    if (this.live) this.synchronise();\n`,
    replace: '',
  },
  {
    guard: 'a hub that is not live holds messages back',
    find: `if (this.live && this.#accept(message)) continue;`,
    replace: `if (this.#accept(message)) continue;`,
  },
  {
    guard: 'a synchronisation from before an interruption is ignored',
    find: `if (!page || generation !== this.#generation) return;`,
    replace: `if (!page) return;`,
  },
  {
    guard: 'a read from before an interruption is not used',
    find: `    this.enter('interrupted');\n`,
    replace: '',
  },
  {
    guard: 'only one synchronisation runs at a time',
    find: `if (state !== 'live') this.#generation++;`,
    replace: `if (state !== 'live' && state !== 'synchronising') this.#generation++;`,
  },
  {
    guard: 'a failed read is not retried for a hub that no longer needs it',
    find: `isWanted: () => generation === this.#generation,`,
    replace: `isWanted: () => true,`,
  },
  {
    guard: 'a closed hub reads nothing more',
    find: `if (state !== 'live') this.#generation++;`,
    replace: `if (state !== 'live' && state !== 'closed') this.#generation++;`,
  },
  {
    guard: 'a closed hub is not live',
    find: `    this.enter('closed');\n`,
    replace: '',
  },
  {
    guard: 'closing ends the replays',
    find: `    this.#replays.clear();\n`,
    replace: '',
  },
  {
    guard: 'a closed hub unsubscribes',
    find: `    this.broker.unsubscribe(this.channel);\n`,
    replace: '',
  },
  {
    guard: 'a subscriber that unsubscribes ends its replay',
    find: `    this.#replays.end(subscriber);\n`,
    replace: '',
  },
  {
    guard: 'a subscriber that unsubscribes as it opens is not added',
    find: `      this.subscribers.add(subscriber);\n      subscriber.open(this.#tip, [this.channel]);`,
    replace: `      subscriber.open(this.#tip, [this.channel]);\n      this.subscribers.add(subscriber);`,
  },
  {
    guard: 'a subscriber that unsubscribes as it opens gets no replay',
    find: `    else subscriber.open(isCursor(start) ? start : this.#tip, []);\n    return () => void replay.begin(start);`,
    replace: `    else subscriber.open(isCursor(start) ? start : this.#tip, []);\n    return () => void this.#replays.begin(subscriber).begin(start);`,
  },
  {
    guard: 'a subscriber that unsubscribes with its last replayed event is not added',
    find: `if (this.#replays.end(subscriber)) this.subscribers.add(subscriber);`,
    replace: `this.subscribers.add(subscriber);`,
  },
  {
    guard: 'an audit detects a lost last message',
    find: `    if (this.live && this.#tip === tip) this.synchronise();\n`,
    replace: '',
  },
  {
    guard: 'an audit does not change a hub at the tip',
    find: `if (!page || page.tip === this.#tip) return;`,
    replace: `if (!page) return;`,
  },
  {
    guard: 'an audit gives a message time to arrive',
    find: `    await pause(GRACE_MS);\n`,
    replace: ``,
  },
  {
    guard: 'an audit does not change a hub that has advanced meanwhile',
    find: `if (this.live && this.#tip === tip)`,
    replace: `if (this.live)`,
  },
  {
    guard: 'an audit does not change a hub that was closed meanwhile',
    find: `if (this.live && this.#tip === tip)`,
    replace: `if (this.#tip === tip)`,
  },
  {
    guard: 'an audit waits while many reads are queued',
    find: `    if (!isDue && this.options.reader.isBusy(this.channel)) return;\n`,
    replace: ``,
  },
  {
    guard: 'an audit whose read fails ends without an error',
    find: `.catch(() => undefined);\n    if (!page`,
    replace: `;\n    if (!page`,
  },
  {
    guard: 'subscribers get a reset when events are lost',
    find: `this.subscribers.deliver(\n        resetEvent(this.channel, 'lost', page.tip),\n      )`,
    replace: `0`,
  },
  {
    guard: 'an event that was delivered is not delivered again from the history',
    find: `page.events.filter(({ cursor }) => !this.ring.has(cursor))`,
    replace: `page.events`,
  },
  {
    guard: 'a message after an older tip in the ring may be known',
    find: `prev === this.#tip && prev === this.ring.end`,
    replace: `prev === this.#tip`,
  },
  {
    guard: 'after the store lost events, its tip is used',
    find: `    this.#tip = page.end;\n`,
    replace: '',
  },
  {
    guard: 'a gap is read completely, page by page',
    find: `return page.end === page.tip ? [] : [page.end];`,
    replace: `return [];`,
  },
  {
    guard: 'messages since the subscription are live, although the tip was read later',
    find: `this.#restart(page.after ?? page.tip);\n      return [];`,
    replace: `this.#restart(page.tip);\n      return [];`,
  },
  {
    guard: 'a channel opens without events that the store does not know',
    find: `      if (start !== page.tip && !from.includes(start)) return [start];\n      this.#restart(page.after ?? page.tip);`,
    replace: `      this.#restart(start);`,
    tests: ['test/shared-redis.spec.ts'],
  },
  {
    guard: 'a message that arrives shortly was not missed',
    find: `    for (let waited = 0; isBehind() && waited < GRACE_MS; waited += STEP_MS) await pause(STEP_MS);\n`,
    replace: '',
  },
  {
    guard: 'waiting subscribers also get held messages',
    find: `      this.enter('live');\n      if (this.#drain(round >= MAX_ROUNDS)) {\n`,
    replace: `      if (this.#drain(round >= MAX_ROUNDS)) {\n        this.enter('live');\n`,
  },
  {
    guard: 'a hub that reads again is not live',
    find: `      this.enter('synchronising');\n      generation = this.#generation;\n`,
    replace: '',
  },
  {
    guard: 'a message that no read explains is dropped',
    find: `this.#drain(round >= MAX_ROUNDS)`,
    replace: `this.#drain(false)`,
  },
  {
    guard: 'a message from before the ring is ignored',
    find: `this.#accept(message) || isKnown || dropsRest`,
    replace: `this.#accept(message) || dropsRest`,
  },
  {
    guard: 'messages after an unexplained message wait with it',
    find: `      for (const held of messages.slice(index)) this.#backlog.push(held);\n`,
    replace: '',
  },
  {
    guard: 'messages without buffer space are read from the history',
    find: `return !overflowed;`,
    replace: `return true;`,
  },
  {
    guard: 'if the tip is lost, the hub continues from another known position',
    find: `[...new Set([this.#tip, ...this.ring.positions()])]`,
    replace: `[this.#tip]`,
  },
  {
    guard: 'a ring does not span an unfilled gap',
    find: `    this.ring.clear(tip);\n`,
    replace: '',
  },
  {
    file: 'src/channel/history-reader.ts',
    guard: 'an outage is not reported for each channel',
    find: `    if (!this.broker.connected) return;\n`,
    replace: ``,
  },
  {
    guard: 'a subscriber that is behind gets no lost event again',
    find: `const from = this.ring.end;`,
    replace: `const from = this.#tip!;`,
  },
  {
    file: 'src/channel/replay.ts',
    guard: 'a subscriber that reads slowly after a reconnection gets no lost event again',
    find: `return isBehind ? end : undefined;`,
    replace: `return isBehind ? this.hub.tip : undefined;`,
  },
  {
    guard: 'a subscriber that is behind continues from its position',
    find: `.catchUp(from)`,
    replace: `.catchUp(this.#tip)`,
    tests: CATCH_UP,
  },
  {
    guard: 'events that are not stored are held for subscribers that catch up',
    find: `    this.#replays.hold(event);\n`,
    replace: '',
    tests: CATCH_UP,
  },
].map(hubOf);

const SPECS = 'src/client';
const reconnects = (title) => [`${SPECS}/reconnections.spec.ts › ${title}`];
const credentials = (title) => [`${SPECS}/credentials.spec.ts › ${title}`];

const retries = { file: 'src/client/retries.ts', tests: [`${SPECS}/retries.spec.ts`] };
const connection = { file: 'src/client/connection.ts', tests: [`${SPECS}/silence.spec.ts`] };
const source = { file: 'src/client/source.ts', tests: [`${SPECS}/source.spec.ts`] };
const listeners = { file: 'src/client/listeners.ts', tests: [`${SPECS}/source.spec.ts`] };
const iterations = { file: 'src/client/iterations.ts', tests: [`${SPECS}/iterations.spec.ts`] };
const TABS = 'test/client.tabs.spec.ts';
const tabs = { file: 'src/client/tabs.ts', tests: [`${TABS} › Express go on`] };
const one = ['test/client.tabs.single.spec.ts'];
const options = { file: 'src/client/options.ts', tests: [`${SPECS}/options.spec.ts`] };

/** The client for browsers and Node. */
export const client = [
  {
    ...retries,
    guard: 'credentials are renewed once only',
    find: `if (hasRenewed || !canRenew) return undefined;`,
    replace: `if (!canRenew) return undefined;`,
  },
  {
    ...retries,
    guard: 'fixed credentials are not sent again',
    find: `if (hasRenewed || !canRenew) return undefined;`,
    replace: `if (hasRenewed) return undefined;`,
  },
  {
    ...retries,
    guard: '408 and 429 are no final answers',
    find: `if (status! < 500 && status !== 408 && status !== 429) return undefined;`,
    replace: `if (status! < 500) return undefined;`,
  },
  {
    ...retries,
    guard: 'an accepted connection ends the count of pages with status 200',
    find: `      wrongTypes = 0;
      hasRenewed = false;`,
    replace: `      hasRenewed = false;`,
  },
  {
    ...retries,
    guard: 'a source does not reconnect before Retry-After',
    find: `Math.max(retries.retryMs, retryAfterMs)`,
    replace: `retries.retryMs`,
  },
  {
    ...retries,
    guard: 'a delay is not longer than a timer can be',
    find: `Math.min(MAX_TIMER_MS, floor + retries.jitter())`,
    replace: `floor + retries.jitter()`,
  },
  {
    ...retries,
    guard: 'only a connection that has lasted ends the growth of the delay',
    find: `if (Date.now() - openedAt > LASTING * secondMs) failures = 0;`,
    replace: `if (openedAt > 0) failures = 0;`,
  },
  {
    ...connection,
    guard: 'a page with status 200 is no event stream',
    find: `status === 200 && /^text`,
    replace: `status === 200 || /^text`,
    tests: reconnects('after the longest delay where it gets a page'),
  },
  {
    ...connection,
    guard: 'a connection that a slow consumer holds is not silent',
    find: `        seen = NaN;
`,
    replace: ``,
    tests: [`${SPECS}/iterations.spec.ts › reads no further`],
  },
  {
    ...connection,
    guard: 'a clock that was set back does not hide silence',
    find: `Math.abs(Date.now() - seen)`,
    replace: `Date.now() - seen`,
  },
  {
    ...connection,
    guard: 'the server names the interval of its heartbeats',
    find: `heartbeatMs = parser.heartbeatMs || heartbeatMs;`,
    replace: ``,
  },
  {
    ...connection,
    guard: 'a closed source delivers no further event of a chunk',
    find: `          signal.throwIfAborted();
          onEvent(event);`,
    replace: `          onEvent(event);`,
    tests: source.tests,
  },
  {
    ...source,
    guard: 'a reset loads the state of the application again',
    find: `        isStale = true;
`,
    replace: ``,
    tests: credentials('is loaded before the first connection'),
  },
  {
    ...source,
    guard: 'a snapshot without a position is not taken',
    find: `      check('lastEventId', lastEventId);
`,
    replace: ``,
    tests: credentials('is loaded again where that fails'),
  },
  {
    ...source,
    guard: 'a block without data moves the position',
    find: `      source.lastEventId = lastEventId;
      retries.retryMs`,
    replace: `      retries.retryMs`,
  },
  {
    ...source,
    guard: 'a closed source that waits is over at once',
    find: `if (Date.now() < notBefore && !isOver()) return;`,
    replace: `if (Date.now() < notBefore) return;`,
    tests: [`${SPECS}/silence.spec.ts › leaves nothing behind`],
  },
  {
    ...source,
    guard: 'a source ends where its application does not answer',
    find: `await Promise.race([aborted, connect(attempt)]);`,
    replace: `await connect(attempt);`,
    tests: [`${SPECS}/silence.spec.ts › where the response headers never arrive`],
  },
  {
    ...listeners,
    guard: 'a listener that another one removed is not called',
    find: `if (!listeners.has(listener)) continue;`,
    replace: ``,
  },
  {
    ...iterations,
    guard: 'a loop that was left does not hold the source',
    find: `          queues.delete(queue);
          wake();
          return iterator.next();`,
    replace: `          return iterator.next();`,
  },
  {
    ...options,
    guard: 'an option is one of its own names',
    find: `Object.hasOwn(RULES, name)`,
    replace: `name in RULES`,
  },
  {
    file: 'src/client/parser.ts',
    guard: 'a comment that only begins as one names no interval of heartbeats',
    find: `/^heartbeat [0-9]+$/`,
    replace: `/^heartbeat [0-9]+/`,
    tests: [`${SPECS}/parser.spec.ts › reads from`],
  },
  {
    ...tabs,
    guard: 'a tab follows only from where the leader is',
    find: `    if (index < 0) return false;`,
    replace: ``,
    tests: one,
  },
  {
    ...tabs,
    guard: 'a tab follows only when the server has accepted it',
    find: `if (!isAccepted || at === undefined) return false;`,
    replace: `if (at === undefined) return false;`,
    tests: one,
  },
  {
    ...tabs,
    guard: 'a tab closes its own connection when it follows',
    find: `    disconnect = disconnect?.() as undefined;
    position = at;`,
    replace: `    disconnect = undefined;
    position = at;`,
    tests: [`${TABS} › are twenty`],
  },
  {
    ...tabs,
    guard: 'the leader does not end the others when it leaves',
    find: `    isLeader = false;
    leader = undefined;
    end();`,
    replace: `    end();
    isLeader = false;
    leader = undefined;`,
  },
  {
    ...tabs,
    guard: 'a frozen leader is replaced',
    find: `setTimeout(() => leader ?? lock(true), ANSWER_MS)`,
    replace: `setTimeout(() => leader, ANSWER_MS)`,
  },
  {
    ...tabs,
    guard: 'tabs make their next attempt when the leader is connected',
    find: `return last ?? wake();`,
    replace: `return;`,
    tests: [`${TABS} › connect at once`],
  },
  {
    ...tabs,
    guard: 'tabs with another URL have another connection',
    find: 'shared(`sse ${name} ${source.url}`',
    replace: 'shared(`sse ${name}`',
    tests: [`${TABS} › do not share`],
  },
  {
    ...tabs,
    guard: 'a tab that does not read leaves the others',
    find: `if (body.desiredSize! < -UNREAD) leave();\n    else`,
    replace: ``,
    tests: one,
  },
];

/** Guards of who may read. */
const ACCESS = 'test/access.disconnect.spec.ts';
const LEASE = 'src/connections/lease.spec.ts';

const disconnections = { file: 'src/connections/disconnections.ts', tests: ['test/disconnect.spec.ts'] };
const disconnection = { file: 'src/connections/disconnection.ts', tests: [ACCESS] };
const refusals = { file: 'src/connections/refusals.ts', tests: [ACCESS] };
const limits = {
  file: 'src/connections/limits.ts',
  tests: ['test/limits.spec.ts', 'test/shares.spec.ts', 'test/shares.socket.spec.ts'],
};
const late = { file: 'src/connections/connections.ts', tests: ['src/connections/connections.spec.ts'] };
const lease = { file: 'src/connections/lease.ts', tests: [LEASE] };
const origin = { file: 'src/routes/origins.ts', tests: ['test/origins.spec.ts', 'test/credentials.spec.ts'] };

export const connections = [
  {
    ...disconnection,
    guard: 'a disconnection is for its user',
    find: `  if (user !== undefined && !reader.users.includes(user)) return false;\n`,
    replace: '',
    tests: ['src/connections/connections.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a disconnection is for its session',
    find: `  if (session !== undefined && !reader.sessions.includes(session)) return false;\n`,
    replace: '',
    tests: ['test/disconnect.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a disconnection is for its channel',
    find: `  if (channel !== undefined && !reader.channels.includes(channel)) return false;\n`,
    replace: '',
    tests: ['test/disconnect.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a newer credential is let in',
    find: `  return issuedAt !== undefined && issuedAt.getTime() > at;`,
    replace: `  return false;`,
  },
  {
    ...refusals,
    guard: 'who was disconnected does not come straight back',
    find: `    refusal.add(disconnection);\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'a node that begins to listen reads earlier disconnections',
    find: `this.#take(event, isLate);`,
    replace: `void event;`,
  },
  {
    ...disconnections,
    guard: 'nothing is sent before all disconnections are known',
    find: `    return this.broker.isLocal || !this.hasHistory ? undefined : this.#listening.caughtUp;`,
    replace: `    return undefined;`,
  },
  {
    ...disconnections,
    guard: 'credentials are compared by one clock',
    find: `time > 0 ? this.#skew.toLocal(time) : Date.now()`,
    replace: `time > 0 ? time : Date.now()`,
  },
  {
    ...limits,
    guard: 'a limit keeps streams out',
    find: `    return !exceeded;`,
    replace: `    return true;`,
  },
  {
    ...limits,
    guard: 'not everybody comes back at once',
    find: ` && !this.#resumes.take(channels.length)) return`,
    replace: ` && resumes === undefined) return`,
  },
  {
    ...limits,
    guard: 'each channel of a client that comes back counts',
    find: `this.#resumes.take(channels.length)`,
    replace: `this.#resumes.take()`,
  },
  {
    ...limits,
    guard: 'a client may read one channel by many connections',
    find: `keys.filter((key) => !this.#counts.has(key)).length`,
    replace: `keys.length`,
  },
  {
    ...limits,
    guard: 'a stream that has ended makes room for the channels of its address',
    find: `      for (const channel of channels) this.#channelsOf.delete(network, channel);\n`,
    replace: '',
  },
  {
    file: 'src/connections/connection-index.ts',
    tests: ['test/limits.spec.ts'],
    guard: 'a connection that has ended makes room for its user',
    find: `    this.#group('delete', connection);\n    return`,
    replace: `    return`,
  },
  {
    ...limits,
    guard: 'a stream that has ended makes room for its address',
    find: `      this.#perAddress.delete(network);\n`,
    replace: '',
  },
  {
    ...limits,
    guard: 'a flood is told of once',
    find: `    if (now - (this.#warned.get(name) ?? -Infinity) < WARN_MS) return;\n`,
    replace: '',
  },
  {
    ...late,
    guard: 'what was let in since a disconnection stays',
    find: ` || (isLate && retryMs === 0)) continue;`,
    replace: `) continue;`,
  },
  {
    ...late,
    guard: 'nobody is subscribed to disconnections without a stream',
    find: `    this.#disconnections.pause();\n`,
    replace: '',
  },
  {
    ...disconnection,
    guard: 'what is no disconnection is not taken for one of everybody',
    find: `  if (given.length === 0 || given.some((value) => typeof value !== 'string')) return undefined;\n`,
    replace: '',
    tests: ['src/connections/disconnection.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a target that is not known is passed over',
    find: `  if (target !== data && !Object.keys(target).every(isKnown)) return undefined;\n`,
    replace: '',
    tests: ['src/connections/disconnection.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'who is being asked about is asked about again',
    find: `  return Math.max(0, left, askedAt <= disconnection.heardAt ? AGAIN_MS : 0);`,
    replace: `  return Math.max(0, left);`,
    tests: ['test/disconnect.spec.ts'],
  },
  {
    ...late,
    guard: 'all that are open while it listens end',
    find: `(isLate && retryMs === 0)`,
    replace: `retryMs === 0`,
  },
  {
    ...late,
    guard: 'a credential that has expired lets nobody in',
    find: `      (isExpired(access) && AGAIN_MS) ||\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'after a loss, the disconnections that are left are read',
    find: `if (page.after === undefined && position !== OLDEST) return this.#readFrom(OLDEST, true);`,
    replace: `if (page.after === undefined && position !== OLDEST) return;`,
    tests: ['test/redis.outage.spec.ts › disconnects the given user only'],
  },
  {
    file: 'src/sse.service.ts',
    guard: 'nothing that comes with a request is taken for a permission',
    find: `const grant = channel instanceof SseGrant ? channel : undefined;`,
    replace: `const grant = typeof channel === 'object' && 'access' in channel ? (channel as SseGrant) : undefined;`,
    tests: ['test/access.spec.ts › is refused for an object that only looks like a grant'],
  },
  {
    ...lease,
    guard: 'a time that no timer can hold is not over at once',
    find: `wait > MAX_TIMER_MS ? () => this.#expire({ expiresAt }) : `,
    replace: '',
  },
  {
    ...lease,
    guard: 'streams that began together do not end together',
    find: `left - Math.random() * Math.min(MAX_LEAD_MS, left / 10)`,
    replace: `left`,
  },
  {
    ...lease,
    guard: 'what was stopped stays so',
    find: `    if (this.#stopped) return;\n`,
    replace: '',
  },
  {
    ...lease,
    guard: 'what is not renewed ends',
    find: `      if (!this.#stopped) this.options.onEnd(error instanceof UndecidedError ? 'undecided' : 'denied');\n`,
    replace: '',
  },
  {
    ...origin,
    guard: 'a page of another site does not read with its visitor’s credentials',
    find: `    throw new ForbiddenException();\n`,
    replace: '',
  },
  {
    ...origin,
    guard: 'an old browser is told by its origin',
    find: `!URL.canParse(own) || new URL(own).origin !== origin`,
    replace: `false`,
  },
  {
    ...origin,
    guard: 'a page without credentials may be from anywhere',
    find: `!isForeign(request) || !hasCredentials(request)`,
    replace: `!isForeign(request)`,
  },
  {
    ...origin,
    guard: 'credentials are what the browser adds, not cookies alone',
    find: ` || AMBIENT.test(headers.authorization ?? '')`,
    replace: '',
  },
  {
    ...origin,
    guard: 'a client certificate is one of them',
    find: `  if (Object.keys(certificate ?? {}).length > 0) return true;\n`,
    replace: '',
  },
];

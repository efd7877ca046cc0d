/** Guards of access to channels. */
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
    guard: 'a disconnection applies to its user',
    find: `  if (user !== undefined && !reader.users.includes(user)) return false;\n`,
    replace: '',
    tests: ['src/connections/connections.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a disconnection applies to its session',
    find: `  if (session !== undefined && !reader.sessions.includes(session)) return false;\n`,
    replace: '',
    tests: ['test/disconnect.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a disconnection applies to its channel',
    find: `  if (channel !== undefined && !reader.channels.includes(channel)) return false;\n`,
    replace: '',
    tests: ['test/disconnect.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a newer credential is accepted',
    find: `  return issuedAt !== undefined && issuedAt.getTime() > at;`,
    replace: `  return false;`,
  },
  {
    ...refusals,
    guard: 'a disconnected client cannot reconnect at once',
    find: `    refusal.add(disconnection);\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'a node that subscribes to disconnections reads earlier ones',
    find: `this.#take(event, isLate);`,
    replace: `void event;`,
  },
  {
    ...disconnections,
    guard: 'no event is sent before all disconnections are known',
    find: `    return this.broker.isLocal || !this.hasHistory ? undefined : this.#listening.caughtUp;`,
    replace: `    return undefined;`,
  },
  {
    ...disconnections,
    guard: 'credentials and disconnections are compared by one clock',
    find: `time > 0 ? this.#skew.toLocal(time) : Date.now()`,
    replace: `time > 0 ? time : Date.now()`,
  },
  {
    ...limits,
    guard: 'a limit refuses connections',
    find: `    return !exceeded;`,
    replace: `    return true;`,
  },
  {
    ...limits,
    guard: 'resumes are limited per second',
    find: `resumes && !this.#resumes.take(channels.length) ?`,
    replace: `resumes === undefined ?`,
  },
  {
    ...limits,
    guard: 'each channel of a resuming client counts',
    find: `this.#resumes.take(channels.length)`,
    replace: `this.#resumes.take()`,
  },
  {
    ...limits,
    guard: 'connections to one channel count it once',
    find: `keys.filter((key) => !this.#counts.has(key)).length`,
    replace: `keys.length`,
  },
  {
    ...limits,
    guard: 'a closed connection frees the channels of its address',
    find: `    for (const channel of channels) this.#channelsOf.delete(network, channel);\n`,
    replace: '',
  },
  {
    file: 'src/connections/connection-index.ts',
    tests: ['test/limits.spec.ts'],
    guard: 'a closed connection frees the share of its user',
    find: `    this.#group('delete', connection);\n    return`,
    replace: `    return`,
  },
  {
    ...limits,
    guard: 'a closed connection frees the share of its address',
    find: `    this.#perAddress.delete(network);\n`,
    replace: '',
  },
  {
    ...limits,
    guard: 'a flood is logged once',
    find: `    if (now - (this.#warned.get(name) ?? -Infinity) < WARN_MS) return;\n`,
    replace: '',
  },
  {
    ...late,
    guard: 'connections accepted after a disconnection stay open',
    find: ` || (isLate && retryMs === 0)) continue;`,
    replace: `) continue;`,
  },
  {
    ...late,
    guard: 'a node without connections unsubscribes from disconnections',
    find: `    this.#disconnections.pause();\n`,
    replace: '',
  },
  {
    ...disconnection,
    guard: 'an invalid disconnection is ignored',
    find: `  if (given.length === 0 || given.some((value) => typeof value !== 'string')) return undefined;\n`,
    replace: '',
    tests: ['src/connections/disconnection.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'an unknown target is ignored',
    find: `  if (target !== data && !Object.keys(target).every(isKnown)) return undefined;\n`,
    replace: '',
    tests: ['src/connections/disconnection.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a decision that is pending at a disconnection is requested again',
    find: `  return Math.max(0, left, askedAt <= disconnection.heardAt ? AGAIN_MS : 0);`,
    replace: `  return Math.max(0, left);`,
    tests: ['test/disconnect.spec.ts'],
  },
  {
    ...late,
    guard: 'a live disconnection closes all matching open connections',
    find: `(isLate && retryMs === 0)`,
    replace: `retryMs === 0`,
  },
  {
    ...late,
    guard: 'an expired credential is refused',
    find: `      (isExpired(access) && AGAIN_MS) ||\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'after a loss of data, the remaining disconnections are read',
    find: `if (page.after === undefined && position !== OLDEST) return this.#readFrom(OLDEST, true);`,
    replace: `if (page.after === undefined && position !== OLDEST) return;`,
    tests: ['test/redis.outage.spec.ts › disconnects the given user only'],
  },
  {
    file: 'src/connections/request.ts',
    guard: 'request data is never taken for a grant',
    find: `const grant = channel instanceof SseGrant ? channel : undefined;`,
    replace: `const grant = typeof channel === 'object' && 'access' in channel ? (channel as SseGrant) : undefined;`,
    tests: ['test/access.spec.ts › is refused for an object that only looks like a grant'],
  },
  {
    ...lease,
    guard: 'a delay beyond the timer limit does not fire at once',
    find: `wait > MAX_TIMER_MS ? () => this.#expire({ expiresAt }) : `,
    replace: '',
  },
  {
    ...lease,
    guard: 'connections opened together close at different times',
    find: `left - Math.random() * Math.min(MAX_LEAD_MS, left / 10)`,
    replace: `left`,
  },
  {
    ...lease,
    guard: 'a stopped lease stays stopped',
    find: `    if (this.#stopped) return;\n`,
    replace: '',
  },
  {
    ...lease,
    guard: 'a lease ends without a renewal',
    find: `      if (!this.#stopped) this.options.onEnd(error instanceof UndecidedError ? 'undecided' : 'denied');\n`,
    replace: '',
  },
  {
    ...origin,
    guard: 'a page of another site cannot read with its visitor’s credentials',
    find: `    throw new ForbiddenException();\n`,
    replace: '',
  },
  {
    ...origin,
    guard: 'an old browser is checked by its Origin header',
    find: `!URL.canParse(own) || new URL(own).origin !== origin`,
    replace: `false`,
  },
  {
    ...origin,
    guard: 'a page without credentials may have any origin',
    find: `!isForeign(request) || !hasCredentials(request)`,
    replace: `!isForeign(request)`,
  },
  {
    ...origin,
    guard: 'all credentials that a browser adds are checked, not only cookies',
    find: ` || AMBIENT.test(headers.authorization ?? '')`,
    replace: '',
  },
  {
    ...origin,
    guard: 'a client certificate counts as a credential',
    find: `  if (Object.keys(certificate ?? {}).length > 0) return true;\n`,
    replace: '',
  },
];

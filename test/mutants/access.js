/** Guards of who may read. */
const ACCESS = 'test/access.spec.ts';
const LEASE = 'src/access/lease.spec.ts';

const authorization = { file: 'src/http/authorization.ts', tests: [ACCESS] };
const failing = { file: 'src/http/authorization.ts', tests: ['test/revalidation.spec.ts'] };
const rules = { file: 'src/http/channel-pattern.ts', tests: ['test/rules.spec.ts'] };
const interceptor = { file: 'src/http/sse-channel.interceptor.ts', tests: [ACCESS] };
const disconnections = { file: 'src/access/disconnections.ts', tests: ['test/disconnect.spec.ts'] };
const disconnection = { file: 'src/access/disconnection.ts', tests: [ACCESS] };
const refusals = { file: 'src/access/refusals.ts', tests: [ACCESS] };
const limits = { file: 'src/access/limits.ts', tests: ['test/limits.spec.ts', 'test/shares.spec.ts'] };
const late = { file: 'src/access/connections.ts', tests: ['src/access/connections.spec.ts'] };
const lease = { file: 'src/access/lease.ts', tests: [LEASE] };
const origin = { file: 'src/http/origins.ts', tests: ['test/origins.spec.ts', 'test/credentials.spec.ts'] };

export const access = [
  {
    ...authorization,
    guard: 'what a rule does not allow is refused',
    find: `      if (!channels.every(check)) throw new ForbiddenException();\n`,
    replace: '',
  },
  {
    ...authorization,
    guard: 'what an authorizer does not allow is refused',
    find: `    if (access === false) throw new ForbiddenException();\n    return access;`,
    replace: `    return access || {};`,
  },
  {
    ...failing,
    guard: 'an authorizer that fails lets nobody in',
    find: `      throw new UndecidedError('The authorizer failed', { cause: error });`,
    replace: `      return {};`,
  },
  {
    ...rules,
    file: 'src/http/authorization.ts',
    guard: 'an authorizer that names nothing refuses',
    find: `  if (given.length === 0) throw noAnswer(answer);\n`,
    replace: '',
  },
  {
    ...rules,
    file: 'src/http/authorization.ts',
    guard: 'only true and a plain object are a yes',
    find: ` || !isPlain(answer)) throw`,
    replace: `) throw`,
  },
  {
    ...rules,
    file: 'src/http/authorization.ts',
    guard: 'an answer whose user was not found is none',
    find: `  if (missing) throw inputError(missing[0], 'left out or given', undefined);\n`,
    replace: '',
  },
  {
    ...rules,
    file: 'src/http/requested-channels.ts',
    guard: 'a query gives texts alone',
    find: `list.every((value) => typeof value === 'string')`,
    replace: `list.length > 0`,
  },
  {
    ...rules,
    file: 'src/http/requested-channels.ts',
    guard: 'a target that a handler takes from the query names no user',
    find: `  if (Object.values(query).some(isIn)) throw`,
    replace: `  if (Object.values({}).some(isIn)) throw`,
  },
  {
    ...failing,
    guard: 'an authorizer may say no with a status of its own',
    find: `      if (error instanceof HttpException || error instanceof UndecidedError) throw error;\n`,
    replace: `      if (error instanceof UndecidedError) throw error;\n`,
  },
  {
    ...failing,
    guard: 'a question that waits for its turn has no more time than others',
    find: `mergeAccess((await Promise.race([Promise.all(answers), over])).flat())`,
    replace: `mergeAccess((await Promise.all(answers)).flat())`,
  },
  {
    ...failing,
    guard: 'a question that is decided makes room for others',
    find: `      giveUp(new UndecidedError('It is decided'));\n`,
    replace: '',
  },
  {
    ...failing,
    file: 'src/http/channel.guard.ts',
    guard: 'a request that could not be decided about is answered once',
    find: `        return new Promise(() => {});`,
    replace: `        return true;`,
  },
  {
    ...rules,
    guard: 'an expression is for the whole name',
    find: '`^(?:${source})$`',
    replace: 'source',
  },
  {
    ...rules,
    tests: [ACCESS],
    guard: 'an expression does not remember where it was',
    find: `flags.replaceAll(/[gmy]/g, '')`,
    replace: `flags`,
  },
  {
    ...rules,
    guard: 'an expression that could take long is refused',
    find: ` || !(stepsOf(source) <= MAX_STEPS)`,
    replace: '',
  },
  {
    ...rules,
    guard: 'a parameter ends at a colon',
    find: ` || /[:/]/.test(name.slice(at, end))`,
    replace: '',
  },
  {
    ...rules,
    guard: 'a pattern is for the whole name',
    find: `name.length - text.length : name.indexOf(text, at + 1)`,
    replace: `name.lastIndexOf(text) : name.indexOf(text, at + 1)`,
  },
  {
    ...interceptor,
    guard: 'a route’s rule holds for what its handler returns',
    find: `const { access, renew } = await this.authorization.grant(question, target.channels);`,
    replace: `const { access, renew } = returned\n      ? { access: {}, renew: undefined }\n      : await this.authorization.grant(question, target.channels);`,
  },
  {
    ...disconnection,
    guard: 'a disconnection is for its user',
    find: `  if (user !== undefined && !reader.users.includes(user)) return false;\n`,
    replace: '',
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
    guard: 'a node that begins to listen knows what was said before',
    find: `this.#take(event, () => true);`,
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
    find: `time > 0 ? time + this.#skewMs : now`,
    replace: `time > 0 ? time : now`,
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
    file: 'src/access/connection-index.ts',
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
    tests: ['src/access/disconnection.spec.ts'],
  },
  {
    ...disconnection,
    guard: 'a target that is not known is passed over',
    find: `  if (target !== data && !Object.keys(target).every(isKnown)) return undefined;\n`,
    replace: '',
    tests: ['src/access/disconnection.spec.ts'],
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
    guard: 'what a loss has left of disconnections is read',
    find: `        if (event.event.type !== undefined) void this.#readOn(OLDEST, isWanted);\n        else this`,
    replace: `        if (event.event.type === undefined) this`,
    tests: ['test/redis.spec.ts › disconnects whom it is told to'],
  },
  {
    file: 'src/sse.service.ts',
    guard: 'nothing that comes with a request is taken for a permission',
    find: `const grant = channel instanceof SseGrant ? channel : undefined;`,
    replace: `const grant = typeof channel === 'object' && 'access' in channel ? (channel as SseGrant) : undefined;`,
    tests: ['test/access.spec.ts › is not for what only looks like a permission'],
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

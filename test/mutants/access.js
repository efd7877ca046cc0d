/** Guards of who may read. */
const ACCESS = 'test/access.spec.ts';
const LEASE = 'src/access/lease.spec.ts';

const authorization = { file: 'src/http/authorization.ts', tests: [ACCESS] };
const authorizer = { file: 'src/http/authorizer.ts', tests: [ACCESS] };
const interceptor = { file: 'src/http/sse-channel.interceptor.ts', tests: [ACCESS] };
const disconnections = { file: 'src/access/disconnections.ts', tests: [ACCESS] };
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
    find: `      if (answer === false) throw new ForbiddenException();\n      answers.push(answer);`,
    replace: `      answers.push(answer || {});`,
  },
  {
    ...authorization,
    guard: 'an authorizer that fails refuses',
    find: `      return false;\n    } finally {`,
    replace: `      return {};\n    } finally {`,
  },
  {
    ...authorization,
    guard: 'an authorizer that says nothing refuses',
    find: `  if (!verdict) return false;\n`,
    replace: `  if (verdict === undefined || verdict === null) return {};\n`,
  },
  {
    ...authorization,
    guard: 'only true and an object are a yes',
    find: `  const { user, issuedAt, expiresAt } = checkAccess(verdict);`,
    replace: `  const { user, issuedAt, expiresAt } = verdict as SseAccess;`,
  },
  {
    ...authorization,
    guard: 'an authorizer may answer with 401',
    find: `      if (error instanceof HttpException && [401, 403].includes(error.getStatus())) throw error;\n`,
    replace: '',
  },
  {
    ...authorization,
    guard: 'an authorizer does not keep a request waiting for ever',
    find: `await Promise.race([authorizer.authorize(channel, context), late])`,
    replace: `await Promise.race([authorizer.authorize(channel, context), new Promise<never>(() => late.catch(() => 0))])`,
  },
  {
    ...authorizer,
    guard: 'a pattern is for the whole name',
    find: '`^(?:${rule.source})$`',
    replace: 'rule.source',
  },
  {
    ...authorizer,
    guard: 'a pattern does not remember where it was',
    find: `rule.flags.replaceAll(/[gmy]/g, '')`,
    replace: `rule.flags`,
  },
  {
    ...interceptor,
    guard: 'a route’s rule holds for what its handler returns',
    find: `const { askedAt, access, renew } = await this.authorization.grant(question, target.channels);`,
    replace: `const { askedAt, access, renew } = returned\n      ? { askedAt: 0, access: {}, renew: undefined }\n      : await this.authorization.grant(question, target.channels);`,
  },
  {
    ...disconnections,
    guard: 'a disconnection is for its user',
    find: `  if (user !== undefined && user !== userOf(access)) return false;\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'a disconnection is for its channel',
    find: `  if (channel !== undefined && !channels.includes(channel)) return false;\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'a disconnection is for its connection',
    find: `  return connection === undefined || connection === own;`,
    replace: `  return true;`,
  },
  {
    ...disconnections,
    guard: 'a newer credential is let in',
    find: `  return issuedAt !== undefined && issuedAt.getTime() > at;`,
    replace: `  return false;`,
  },
  {
    ...disconnections,
    guard: 'who was disconnected does not come straight back',
    find: `    if (disconnection.connection === undefined) this.#recent.push(disconnection);\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'a process that begins to listen knows what was said before',
    find: `    for (const event of page.events) this.#take(event, true);\n`,
    replace: '',
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
    ...limits,
    guard: 'a stream that has ended makes room for its user',
    find: `      this.#perUser.delete(user);\n`,
    replace: '',
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
    find: `      if (isLate && (isOver || isNewer(access, disconnection))) continue;\n`,
    replace: '',
  },
  {
    ...late,
    guard: 'nobody is subscribed to disconnections without a stream',
    find: `      this.#disconnections.pause();\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'what is no disconnection is not taken for one of everybody',
    find: `  if (names.length === 0 || names.some((name) => typeof name !== 'string')) return undefined;\n`,
    replace: '',
    tests: ['src/access/connections.spec.ts'],
  },
  {
    ...disconnections,
    guard: 'who is being asked about is asked about again',
    find: `      if (isPending) refusedMs = Math.max(refusedMs, until - now, AGAIN_MS);\n      else if`,
    replace: `      if`,
    tests: ['src/access/connections.spec.ts'],
  },
  {
    ...disconnections,
    guard: 'what was missed does not end a stream before it is let in',
    find: `    await Promise.resolve();\n    if (this.hasHistory`,
    replace: `    if (this.hasHistory`,
    tests: ['src/access/connections.spec.ts'],
  },
  {
    ...late,
    guard: 'all that are open while it listens end',
    find: `      if (isLate && (isOver`,
    replace: `      if ((isOver`,
  },
  {
    ...late,
    guard: 'a credential that has expired lets nobody in',
    find: `      (isExpired(connection.access) && AGAIN_MS) ||\n`,
    replace: '',
  },
  {
    ...disconnections,
    guard: 'what a loss has left of disconnections is read',
    find: `        else void this.#readOn(OLDEST, isWanted);\n`,
    replace: '',
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
    find: `      const work = wait > MAX_TIMER_MS ? () => this.#start() : () => this.connection.end();`,
    replace: `      const work = () => this.connection.end();`,
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
    find: `    if (!this.#stopped) this.#start();`,
    replace: `    this.#start();`,
  },
  {
    ...lease,
    guard: 'what is not renewed ends',
    find: `      this.connection.end();\n      return;`,
    replace: `      return;`,
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

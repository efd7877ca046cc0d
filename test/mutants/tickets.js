const SPEC = 'test/tickets.spec.ts';
const ACCESS_SPEC = 'test/tickets.access.spec.ts';
const SECRECY_SPEC = 'test/tickets.secrecy.spec.ts';
const STORE_SPEC = 'test/tickets.store.spec.ts';

const inRedis = (name) => [`${STORE_SPEC} › Redis broker ${name}`];
const inMemory = (name) => [`${STORE_SPEC} › memory broker ${name}`];
const redis = { file: 'src/broker/redis/redis.tickets.ts' };
const memory = { file: 'src/broker/memory/memory.tickets.ts' };
const service = { file: 'src/routes/sse-tickets.service.ts' };
const same = [`${SPEC} › gets the same 401`];

/** Guards of tickets. */
export const tickets = [
  {
    ...redis,
    guard: 'a ticket is removed when it is taken (Redis)',
    find: `clientOf(route).getdel(key)`,
    replace: `clientOf(route).get(key)`,
    tests: inRedis('are taken once'),
  },
  {
    ...redis,
    guard: 'a ticket expires (Redis)',
    find: `set(key, value, 'PX', ttlMs, 'NX')`,
    replace: `set(key, value, 'NX')`,
    tests: inRedis('expire after'),
  },
  {
    ...redis,
    guard: 'a repeated call does not prolong a ticket (Redis)',
    find: `'PX', ttlMs, 'NX')`,
    replace: `'PX', ttlMs)`,
    tests: inRedis('expire after'),
  },
  {
    ...redis,
    guard: 'tickets are spread over the slots of a cluster',
    find: `const key = this.names.key(channel, 'value');`,
    replace: `const key = this.names.key('!tickets', name);`,
    tests: [`${STORE_SPEC} › are spread over`],
  },
  {
    ...redis,
    guard: 'an error of Redis does not quote the hash',
    find: `.replace(/, with args .*/s, '')`,
    replace: '',
    tests: [`${SECRECY_SPEC} › is not shown`],
  },
  {
    ...redis,
    guard: 'an error of Redis does not hold the arguments of the command',
    find: `.replace(/, with args .*/s, ''));`,
    replace: `.replace(/, with args .*/s, ''), { cause: error });`,
    tests: [`${SECRECY_SPEC} › is not shown`],
  },
  {
    ...memory,
    guard: 'a ticket is removed when it is taken (memory)',
    find: `    this.#all.delete(name);\n`,
    replace: '',
    tests: inMemory('are taken once'),
  },
  {
    ...memory,
    guard: 'a ticket expires (memory)',
    find: ` && ticket.expires > performance.now()`,
    replace: ` && true`,
    tests: inMemory('expire after'),
  },
  {
    ...memory,
    guard: 'a repeated call does not prolong a ticket (memory)',
    find: `    if (this.#get(name) !== undefined) return;\n`,
    replace: '',
    tests: inMemory('expire after'),
  },
  {
    ...service,
    guard: 'a ticket opens its own route only',
    find: `if (!isOfRoute || !names`,
    replace: `if (!names`,
    tests: same,
  },
  {
    ...service,
    guard: 'a ticket opens its own channels only',
    find: `!names.every((name) => allowed.includes(name))`,
    replace: `!names.some((name) => allowed.includes(name))`,
    tests: same,
  },
  {
    ...service,
    guard: 'an expired credential is refused as any other ticket',
    find: ` || isExpired(access)) {`,
    replace: `) {`,
    tests: same,
  },
  {
    ...service,
    guard: 'only a text is looked up as a ticket',
    find: `isTicket(ticket) ? await`,
    replace: `ticket !== undefined ? await`,
    tests: [...same, `${SECRECY_SPEC} › costs one SET`],
  },
  {
    ...service,
    guard: 'a redeemed ticket stays valid for its own connection',
    find: `      this.#redeemed.set(request, permission);\n`,
    replace: '',
    tests: [`${ACCESS_SPEC} › stays open`],
  },
  {
    ...service,
    guard: 'addresses with tickets are no referrers',
    find: `'no-referrer'`,
    replace: `'unsafe-url'`,
    tests: [`${SPEC} › opens one connection`],
  },
  {
    ...service,
    guard: 'a ticket without a date of issue is issued now',
    find: `issuedAt = new Date(), expiresAt`,
    replace: `issuedAt, expiresAt`,
    tests: ['test/tickets.access.spec.ts › does not open'],
  },
  {
    ...service,
    guard: 'the dates of a ticket are dates again',
    find: `access: { ...access, ...dates }`,
    replace: `access`,
    tests: [`${SPEC} › opens one connection`],
  },
  {
    ...service,
    guard: 'a wrong path is logged',
    find: `    if (!isOfRoute) this.#report(route, request);\n`,
    replace: '',
    tests: [`${ACCESS_SPEC} › has a log line`],
  },
  {
    ...service,
    guard: 'an undefined user of a ticket is refused',
    find: `      throw inputError(name, 'left out or given', undefined);\n`,
    replace: '',
    tests: ['test/input.tickets.spec.ts'],
  },
  {
    ...service,
    guard: 'a ticket lives no longer than disconnect() refuses',
    find: ` || ttlMs > MAX_TICKET_MS`,
    replace: '',
    tests: ['test/input.tickets.spec.ts'],
  },
  {
    file: 'src/routes/ticket.ts',
    guard: 'only the hash of a ticket is stored',
    find: `createHash('sha256').update(ticket).digest('base64url')`,
    replace: `ticket && createHash('sha256') && ticket`,
    tests: [`${SECRECY_SPEC} › is stored`],
  },
  {
    file: 'src/routes/ticket.ts',
    guard: 'what a ticket allows is encrypted',
    find: `cipher.update(text, 'utf8'), cipher.final()`,
    replace: `(cipher.update(text, 'utf8'), cipher.final(), Buffer.from(text))`,
    tests: [`${SECRECY_SPEC} › is stored`],
  },
];

const BROKER_SPEC = 'test/broker.spec.ts';
const HISTORY_SPEC = 'test/broker.history.spec.ts';
const CURSORS_SPEC = 'test/broker.cursors.spec.ts';
const BROKER_REDIS_SPEC = 'test/broker.redis.spec.ts';
const ORDER_SPEC = 'test/publish.order.spec.ts';
const REFUSALS_SPEC = 'test/publish.refusals.spec.ts';
const BOUNDS_SPEC = 'test/publish.bounds.spec.ts';
const REDIS_SPEC = 'test/redis.spec.ts';
const REDIS_REFUSALS_SPEC = 'test/redis.refusals.spec.ts';

const publish = { file: 'src/broker/redis/publish.lua', tests: [BROKER_SPEC] };
const read = { file: 'src/broker/redis/read.lua', tests: [HISTORY_SPEC] };
const takesBack = [`${REFUSALS_SPEC} › rolls back and does not deliver an event`];

export const scripts = [
  {
    ...publish,
    guard: 'an idempotency key counts once',
    find: `  if first then return first end\n`,
    replace: '',
    tests: [HISTORY_SPEC],
  },
  {
    ...publish,
    guard: 'an idempotency key also counts without history',
    find: `  if idempotency then redis.call('SET', idempotency, id, 'EX', IDEMPOTENCY_S) end\n`,
    replace: '',
    tests: [HISTORY_SPEC],
  },
  {
    ...publish,
    guard: 'a channel accepts each publication once, and none after a later one',
    find: `  if last >= tonumber(number) then`,
    replace: `  if false then`,
    tests: [`${ORDER_SPEC} › stores nothing for an attempt that arrives after its retry`],
  },
  {
    ...publish,
    guard: 'a channel accepts no publication before its predecessor',
    find: `  if after and after ~= '' and last < tonumber(after) then`,
    replace: `  if false then`,
    tests: [`${ORDER_SPEC} › stores an event before the later ones of its channel`],
  },
  {
    ...publish,
    guard: 'the publishers of a channel are bounded by count',
    find: `redis.call('HLEN', meta) > PUBLISHERS then`,
    replace: `false then`,
    tests: [`${BOUNDS_SPEC} › keeps a bounded number of the publishers`],
  },
  {
    ...publish,
    guard: 'a publication that may not be sent stores no idempotency key',
    find: `  if idempotency then redis.call('DEL', idempotency) end\n  return sent`,
    replace: `  return sent`,
    tests: [`${REFUSALS_SPEC} › publishes nothing and keeps no idempotency key`],
  },
  {
    ...publish,
    guard: 'a chain continues after Redis lost the position',
    find: `  prev = last and last[1]\n`,
    replace: '',
    tests: [BROKER_REDIS_SPEC],
  },
  {
    ...publish,
    guard: 'cursors increase when the clock goes back',
    find: `if ms < tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 + random\nelseif`,
    replace: `if`,
    tests: [CURSORS_SPEC],
  },
  {
    ...publish,
    guard: 'while the clock is behind, a replica does not reuse cursors',
    find: `prevN + 1 + random`,
    replace: `prevN + 1`,
    tests: [CURSORS_SPEC],
  },
  {
    ...publish,
    guard: 'an id that was used before is marked',
    find: `if reused then body = string.sub(body, 1, -2) .. ',"reused":true}' end\n`,
    replace: '',
    tests: [HISTORY_SPEC],
  },
  {
    ...publish,
    guard: 'an id counts as used only while its event is stored',
    find: `reused or cursor and #redis.call('XRANGE', history, cursor, cursor) > 0`,
    replace: `reused or cursor`,
    tests: [BROKER_REDIS_SPEC],
  },
  {
    ...publish,
    guard: 'a history is bounded by count',
    find: `'MAXLEN', '~', size, cursor`,
    replace: `cursor`,
    tests: [HISTORY_SPEC],
  },
  {
    ...publish,
    guard: 'a history is bounded by age',
    find: `    redis.call('XTRIM', history, 'MINID', '~', string.format('%.0f', now - ttl))\n`,
    replace: '',
    tests: [HISTORY_SPEC],
  },
  {
    ...publish,
    guard: 'a history expires',
    find: `    redis.call('PEXPIRE', history, math.ceil(ttl * 1.1))\n`,
    replace: '',
    tests: [HISTORY_SPEC],
  },
  {
    ...publish,
    guard: 'a position expires',
    find: `    redis.call('EXPIRE', meta, math.max(META_S, math.ceil(ttl / 500)))\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › keeps positions for a day`],
  },
  {
    ...publish,
    guard: 'ids of publishers expire',
    find: `    redis.call('PEXPIRE', ids, math.ceil(ttl * 1.1))\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › keeps positions for a day`],
  },
  {
    ...publish,
    guard: 'ids of publishers are bounded by count',
    find: `if redis.call('HLEN', ids) >= tonumber(size) then`,
    replace: `if false then`,
    tests: [BROKER_REDIS_SPEC],
  },
  {
    ...publish,
    guard: 'without a setting, the stored setting applies',
    find: `maxEvents or known[2] or 1000`,
    replace: `maxEvents or 1000`,
    tests: [`${BOUNDS_SPEC} › keeps the history length of the application`],
  },
  {
    ...publish,
    guard: 'if a later command is refused, the event is rolled back',
    find: `redis.pcall('XDEL', history, cursor)\n`,
    replace: '',
    tests: takesBack,
  },
  {
    ...publish,
    guard: 'if a later command is refused, the last id of the history is rolled back',
    find: `redis.pcall('XSETID', history, prev)\n`,
    replace: '',
    tests: [`${REFUSALS_SPEC} › publishes after a rolled-back event`],
  },
  {
    ...publish,
    guard: 'if a later command is refused, the position is rolled back',
    find: `redis.pcall('HSET', meta, 'cursor', prev)\n`,
    replace: '',
    tests: [`${REDIS_REFUSALS_SPEC} › rolls back an event that Redis refuses to send`],
  },
  {
    ...publish,
    guard: 'if a later command is refused, the id is rolled back',
    find: `if id ~= '' and not reused then redis.pcall('HDEL', ids, id) end\n`,
    replace: '',
    tests: [`${REDIS_REFUSALS_SPEC} › rolls back an event that Redis refuses to send`],
  },
  {
    ...publish,
    guard: 'if a later command is refused, the idempotency key is rolled back',
    find: `if idempotency then redis.pcall('DEL', idempotency) end\n`,
    replace: '',
    tests: [`${REDIS_REFUSALS_SPEC} › rolls back an event that Redis refuses to send`],
  },
  {
    ...read,
    guard: 'a chain continues after Redis lost the position',
    find: `tip = last and last[1] or genesis`,
    replace: `tip = genesis`,
    tests: [BROKER_REDIS_SPEC],
  },
  {
    ...read,
    guard: 'a channel without events has a position',
    find: `  local written = isOfStream or redis.pcall('HSET', meta, 'cursor', tip, 'genesis', genesis)\n`,
    replace: `  local written = 2\n`,
  },
  {
    ...read,
    guard: 'a reader renews the expiry of the position',
    find: `  if left < seconds then redis.pcall('EXPIRE', meta, math.ceil(seconds * 1.1)) end\n`,
    replace: ``,
    tests: [BROKER_REDIS_SPEC],
  },
  {
    ...read,
    guard: 'a channel without events expires soon',
    find: `if tip == genesis then`,
    replace: `if false then`,
    tests: ['test/unused-channels.spec.ts'],
  },
  {
    ...read,
    guard: 'if Redis accepts no writes, a channel begins before all later events',
    find: `  if type(written) == 'table' and not last then tip = OLDEST end\n`,
    replace: '',
    tests: [`${BROKER_REDIS_SPEC} › succeeds while Redis refuses writes`],
  },
  {
    ...read,
    guard: 'a read soon after another read writes nothing',
    find: `if left < UNUSED_S * 0.9 or left > UNUSED_S then`,
    replace: `if left then`,
    tests: [`${BROKER_REDIS_SPEC} › writes nothing soon after another read`],
  },
  {
    ...read,
    guard: 'events beyond the client’s limits are not read',
    find: `if not isWithinLimits() then return { tip, after, {}, 1 } end\n`,
    replace: '',
    tests: [`${HISTORY_SPEC} › returns no event if more events follow`],
  },
  {
    ...read,
    guard: 'the position before the oldest event is known',
    find: ` or cursor == trimmedTo() or known[5]`,
    replace: ` or known[5]`,
  },
  {
    ...read,
    guard: 'a page is bounded by size',
    find: `(#entries >= limit or bytes >= PAGE_BYTES)`,
    replace: `#entries >= limit`,
    tests: [BROKER_REDIS_SPEC],
  },
  {
    ...read,
    guard: 'a page is bounded by size to the entry',
    find: `#entries < limit and bytes < PAGE_BYTES then`,
    replace: `#entries < limit then`,
  },
];

const BROKER_SPEC = 'test/broker.spec.ts';
const PUBLISH_SPEC = 'test/publish.spec.ts';
const REDIS_SPEC = 'test/redis.spec.ts';

const publish = { file: 'src/broker/publish.lua', tests: [BROKER_SPEC] };
const read = { file: 'src/broker/read.lua', tests: [BROKER_SPEC] };
const find = { file: 'src/broker/find.lua', tests: [PUBLISH_SPEC] };
const takesBack = [`${PUBLISH_SPEC} › takes back what a user may not do`];

export const scripts = [
  {
    ...publish,
    guard: 'an idempotency key counts once',
    find: `  if first then return first end\n`,
    replace: '',
  },
  {
    ...publish,
    guard: 'an idempotency key counts without history, too',
    find: `  if idempotency then redis.call('SET', idempotency, id, 'EX', IDEMPOTENCY_S) end\n`,
    replace: '',
  },
  {
    ...publish,
    guard: 'a channel takes each publication once, and none after a later one',
    find: `  if last >= tonumber(number) then`,
    replace: `  if false then`,
    tests: [`${PUBLISH_SPEC} › stores nothing of an attempt that arrives after`],
  },
  {
    ...publish,
    guard: 'a channel takes no publication before the one that was sent before it',
    find: `  if after and after ~= '' and last < tonumber(after) then`,
    replace: `  if false then`,
    tests: [`${PUBLISH_SPEC} › stores an event before the later ones of its channel`],
  },
  {
    ...publish,
    guard: 'the publishers of a channel are bounded by count',
    find: `redis.call('HLEN', meta) > PUBLISHERS then`,
    replace: `false then`,
    tests: [`${PUBLISH_SPEC} › keeps a bounded number of the publishers`],
  },
  {
    ...publish,
    guard: 'what may not be sent keeps no key',
    find: `  if idempotency then redis.call('DEL', idempotency) end\n  return sent`,
    replace: `  return sent`,
    tests: [`${PUBLISH_SPEC} › publishes nothing, and keeps no key`],
  },
  {
    ...publish,
    guard: 'a chain goes on where Redis has forgotten its position',
    find: `  prev = last and last[1]\n`,
    replace: '',
  },
  {
    ...publish,
    guard: 'cursors increase when the clock goes back',
    find: `if ms <= tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 end\n`,
    replace: '',
  },
  {
    ...publish,
    guard: 'an id that was used before is marked',
    find: `if reused then body = string.sub(body, 1, -2) .. ',"reused":true}' end\n`,
    replace: '',
  },
  {
    ...publish,
    guard: 'an id is used before where its event is kept',
    find: `reused or cursor and #redis.call('XRANGE', history, cursor, cursor) > 0`,
    replace: `reused or cursor`,
  },
  {
    ...publish,
    guard: 'a history is bounded by count',
    find: `'MAXLEN', '~', size, cursor`,
    replace: `cursor`,
  },
  {
    ...publish,
    guard: 'a history is bounded by age',
    find: `    redis.call('XTRIM', history, 'MINID', '~', string.format('%.0f', now - ttl))\n`,
    replace: '',
  },
  {
    ...publish,
    guard: 'a history expires',
    find: `    redis.call('PEXPIRE', history, math.ceil(ttl * 1.1))\n`,
    replace: '',
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
  },
  {
    ...publish,
    guard: 'without a setting the one that is there counts',
    find: `maxEvents or known[2] or 1000`,
    replace: `maxEvents or 1000`,
    tests: [`${PUBLISH_SPEC} › leaves what an application keeps to it`],
  },
  {
    ...publish,
    guard: 'where a later command is refused, the event is taken back',
    find: `redis.pcall('XDEL', history, cursor)\n`,
    replace: '',
    tests: takesBack,
  },
  {
    ...publish,
    guard: 'where a later command is refused, the last id of the stream is taken back',
    find: `redis.pcall('XSETID', history, prev)\n`,
    replace: '',
    tests: [`${PUBLISH_SPEC} › publishes behind what it took back`],
  },
  {
    ...publish,
    guard: 'where a later command is refused, the position is taken back',
    find: `redis.pcall('HSET', meta, 'cursor', prev)\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › takes back what Redis would not send`],
  },
  {
    ...publish,
    guard: 'where a later command is refused, the id is taken back',
    find: `if id ~= '' and not reused then redis.pcall('HDEL', ids, id) end\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › takes back what Redis would not send`],
  },
  {
    ...publish,
    guard: 'where a later command is refused, the idempotency key is taken back',
    find: `if idempotency then redis.pcall('DEL', idempotency) end\n`,
    replace: '',
    tests: [`${REDIS_SPEC} › takes back what Redis would not send`],
  },
  {
    ...read,
    guard: 'a chain goes on where Redis has forgotten its position',
    find: `tip = last and last[1] or genesis`,
    replace: `tip = genesis`,
  },
  {
    ...read,
    guard: 'a channel without events has a position',
    find: `  local written = redis.pcall('HSET', meta, 'cursor', tip, 'genesis', genesis)\n`,
    replace: `  local written = 2\n`,
  },
  {
    ...read,
    guard: 'a reader keeps the position from expiring',
    find: `  if left < seconds then redis.pcall('EXPIRE', meta, math.ceil(seconds * 1.1)) end\n`,
    replace: ``,
  },
  {
    ...read,
    guard: 'a name that a reader made up is soon forgotten',
    find: `if tip == genesis then`,
    replace: `if false then`,
    tests: ['test/unused-channels.spec.ts'],
  },
  {
    ...read,
    guard: 'where Redis takes no writes, a channel begins before all that will be kept',
    find: `  if type(written) == 'table' and not last then tip = OLDEST end\n`,
    replace: '',
    tests: ['test/broker.spec.ts › goes on while Redis takes no writes'],
  },
  {
    ...read,
    guard: 'a reading soon after another one writes nothing',
    find: `if left < UNUSED_S * 0.9 or left > UNUSED_S then`,
    replace: `if left then`,
    tests: ['test/broker.spec.ts › writes nothing soon after another one'],
  },
  {
    ...read,
    guard: 'nothing is read of what is more than a client gets',
    find: `if not isWithinLimits() then return { tip, after, {}, 1 } end\n`,
    replace: '',
    tests: ['test/broker.spec.ts › gives none of what follows where that is more'],
  },
  {
    ...read,
    guard: 'the position before the oldest event is known',
    find: ` or cursor == trimmedTo() then`,
    replace: ` then`,
  },
  {
    ...read,
    guard: 'a page is bounded by size',
    find: `(#entries >= limit or bytes >= PAGE_BYTES)`,
    replace: `#entries >= limit`,
  },
  {
    ...read,
    guard: 'a page is bounded by its size, to the entry',
    find: `#entries < limit and bytes < PAGE_BYTES then`,
    replace: `#entries < limit then`,
  },
];

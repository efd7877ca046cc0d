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
    guard: 'an attempt that was looked for is refused',
    find: `if known[4] and string.find(known[4], string.sub(nonce, 1, 8), 1, true) then`,
    replace: `if false then`,
    tests: [`${PUBLISH_SPEC} › stores nothing of an attempt that arrives after`],
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
    find: `  redis.call('HSET', meta, 'cursor', tip, 'genesis', genesis)\n`,
    replace: '',
  },
  {
    ...read,
    guard: 'a reader keeps the position from expiring',
    find: `redis.call('EXPIRE', meta, tip == genesis and UNUSED_S or meta_s)\n`,
    replace: '',
  },
  {
    ...read,
    guard: 'a name that a reader made up is soon forgotten',
    find: `tip == genesis and UNUSED_S or meta_s`,
    replace: `meta_s`,
    tests: ['test/unused-channels.spec.ts'],
  },
  {
    ...read,
    guard: 'the position before the oldest event is known',
    find: `cursor == tip or cursor == trimmed or `,
    replace: `cursor == tip or `,
  },
  {
    ...read,
    guard: 'a page is bounded by size',
    find: ` or bytes >= PAGE_BYTES`,
    replace: '',
  },
  {
    ...find,
    guard: 'what was looked for and is still on its way is fenced off',
    find: `  redis.call('HSET', meta, 'fenced', string.sub(fenced .. ' ' .. prefix, -FENCED))\n`,
    replace: '',
    tests: [`${PUBLISH_SPEC} › stores nothing of an attempt that arrives after`],
  },
  {
    ...find,
    guard: 'a fence expires',
    find: `  if redis.call('TTL', meta) < 0 then redis.call('EXPIRE', meta, META_S) end\n`,
    replace: '',
    tests: [`${PUBLISH_SPEC} › leaves a bounded number of marks`],
  },
  {
    ...find,
    guard: 'fences are bounded by count',
    find: `string.sub(fenced .. ' ' .. prefix, -FENCED)`,
    replace: `fenced .. ' ' .. prefix`,
    tests: [`${PUBLISH_SPEC} › leaves a bounded number of marks`],
  },
  {
    ...find,
    guard: 'what may have been there and is gone is uncertain',
    find: `msOf(edge) >= since then answer[2] = 0 end`,
    replace: `msOf(edge) >= since then answer[2] = 1 end`,
    tests: [`${PUBLISH_SPEC} › says that an event may be published when`],
  },
  {
    ...find,
    guard: 'before the beginning of a chain there was nothing',
    find: `edge and edge ~= redis.call('HGET', meta, 'genesis') and msOf`,
    replace: `edge and msOf`,
    tests: [`${PUBLISH_SPEC} › is sure that an event is not among`],
  },
  {
    ...find,
    guard: 'the last entry of one call is the first of the next',
    find: `answer[1] = string.sub(from, 2)`,
    replace: `answer[1] = from`,
    tests: [`${PUBLISH_SPEC} › is sure that an event is not among`],
  },
  {
    ...read,
    guard: 'a page is bounded by its size, to the entry',
    find: `      if bytes >= PAGE_BYTES then break end\n`,
    replace: '',
  },
];

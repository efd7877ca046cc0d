const STORE_SPEC = 'test/streams.store.spec.ts';
const SPEC = 'test/streams.spec.ts';
const OUTAGE_SPEC = 'test/streams.outage.spec.ts';
const BOUNDS_SPEC = 'test/streams.bounds.spec.ts';

const inRedis = (name) => [`${STORE_SPEC} › Redis broker ${name}`];
const inMemory = (name) => [`${STORE_SPEC} › memory broker ${name}`];
const script = { file: 'src/broker/redis/stream.lua' };
const append = { file: 'src/broker/redis/append.lua' };
const memory = { file: 'src/broker/memory/memory.streams.ts' };

/** How streams are stored. */
export const streamStores = [
  {
    ...script,
    guard: 'a stream whose lease has expired is lost (Redis)',
    find: ` and now > tonumber(stream.lease) then`,
    replace: ` and false then`,
    tests: inRedis('take nothing from an owner whose lease'),
  },
  {
    ...append,
    guard: 'only the owner appends (Redis)',
    find: `known[2] ~= owner or `,
    replace: '',
    tests: inRedis('take nothing after their end'),
  },
  {
    ...append,
    guard: 'nothing is stored after the end (Redis)',
    find: ` or known[5] or `,
    replace: ` or `,
    tests: inRedis('take nothing after their end'),
  },
  {
    ...append,
    guard: 'a pack is stored once (Redis)',
    find: `for at = 9 + 2 * stored, #ARGV, 2 do`,
    replace: `for at = 9, #ARGV, 2 do`,
    tests: inRedis('store a pack once'),
  },
  {
    ...append,
    guard: 'a stream that has lost packs ends',
    find: `if stored < 0 then return false end\n`,
    replace: '',
    tests: [`${OUTAGE_SPEC} › has lost its last packs`],
  },
  {
    ...script,
    guard: 'a repeated start is no second one (Redis)',
    find: `  if stream.owner == owner then return end\n`,
    replace: '',
    tests: inRedis('are started once'),
  },
  {
    ...script,
    guard: 'a live stream is not replaced unless it should be (Redis)',
    find: `if replaces ~= '1' then return end`,
    replace: `if false then return end`,
    tests: inRedis('are started once'),
  },
  {
    ...script,
    guard: 'a new generation keeps no events of the one before (Redis)',
    find: `  redis.call('DEL', history)\n`,
    replace: '',
    tests: inRedis('are replaced'),
  },
  {
    ...script,
    guard: 'nodes follow the chain into a new generation',
    find: `local link = '{"events":[],`,
    replace: `local link = '{"later":[],`,
    tests: [`${SPEC} › on Redis resets a client with of the generation before`],
  },
  {
    ...script,
    guard: 'the first request to stop counts (Redis)',
    find: `operation == 'abort' and isLive and not stream.abort`,
    replace: `operation == 'abort' and isLive`,
    tests: inRedis('keep the first request'),
  },
  {
    ...script,
    guard: 'the keys of a stream expire from the start',
    find: `  expire(keepMs + 2 * leaseMs)\n`,
    replace: '',
    tests: [`${BOUNDS_SPEC} › expire from their first moment`],
  },
  {
    file: 'src/streams/owned-stream.ts',
    guard: 'the history of a stream expires from its first pack',
    find: `this.#number > 1 && now`,
    replace: `now`,
    tests: [`${BOUNDS_SPEC} › expire from their first moment`],
  },
  {
    file: 'src/streams/owned-stream.ts',
    guard: 'the expiry is renewed while a stream is live',
    find: `now - this.#expirySetAt < leaseMs / 2`,
    replace: `true`,
    tests: [`${BOUNDS_SPEC} › expire from their first moment`],
  },
  {
    ...append,
    guard: 'nothing is stored after the lease has expired',
    find: ` or now > tonumber(known[3])`,
    replace: '',
    tests: inRedis('take nothing from an owner whose lease'),
  },
  {
    ...script,
    guard: 'a channel with events becomes no stream (Redis)',
    find: `[2][1] ~= '2' then`,
    replace: `[2][1] == '3' then`,
    tests: inRedis('take the place of no channel'),
  },
  {
    file: 'src/broker/redis/read.lua',
    guard: 'a position inside a pack is known',
    find: ` or known[5] and isInPack(cursor)`,
    replace: '',
    tests: inRedis('give every event a cursor'),
  },
  {
    file: 'src/broker/redis/read.lua',
    guard: 'a position before a pack of another time is not known',
    find: `return ms == firstMs and tonumber(firstN) <= tonumber(n)`,
    replace: `return true`,
    tests: inRedis('do not know a position'),
  },
  {
    file: 'src/broker/redis/read.lua',
    guard: 'reads do not keep a stream',
    find: `if known[5] then\nelseif tip`,
    replace: `if tip`,
    tests: [`${BOUNDS_SPEC} › expire from their first moment`],
  },
  {
    file: 'src/broker/redis/redis.broker.ts',
    guard: 'the first events of a pack are left out',
    find: `index > 0 ? decoded`,
    replace: `index >= 0 ? decoded`,
    tests: inRedis('give every event a cursor'),
  },
  {
    file: 'src/broker/redis/publish.lua',
    guard: 'nobody publishes to a stream (Redis)',
    find: `if known[5] then return`,
    replace: `if false then return`,
    tests: inRedis('take the place of no channel'),
  },
  {
    file: 'src/broker/memory/memory.broker.ts',
    guard: 'nobody publishes to a stream (memory)',
    find: `    if (publications.some(({ transient }) => !transient)) throw streamError(channel);\n`,
    replace: '',
    tests: inMemory('take the place of no channel'),
  },
  {
    ...memory,
    guard: 'a stream whose lease has expired is lost (memory)',
    find: `!stream.end && stream.lease < performance.now()`,
    replace: `false`,
    tests: inMemory('take nothing from an owner whose lease'),
  },
  {
    ...memory,
    guard: 'only the owner appends (memory)',
    find: `stream.owner !== owner || `,
    replace: '',
    tests: inMemory('take nothing after their end'),
  },
  {
    ...memory,
    guard: 'a pack is stored once (memory)',
    find: `packs.slice(stream.number - number + 1)`,
    replace: `packs`,
    tests: inMemory('store a pack once'),
  },
  {
    ...memory,
    guard: 'a stream is gone after keepMs (memory)',
    find: `!stream || stream.expires > performance.now()`,
    replace: `true`,
    tests: inMemory('are gone when'),
  },
];

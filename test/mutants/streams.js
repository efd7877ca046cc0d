const STORE_SPEC = 'test/streams.store.spec.ts';
const SPEC = 'test/streams.spec.ts';
const OWNER_SPEC = 'test/streams.owner.spec.ts';
const ABORT_SPEC = 'test/streams.abort.spec.ts';
const OUTAGE_SPEC = 'test/streams.outage.spec.ts';
const BOUNDS_SPEC = 'test/streams.bounds.spec.ts';
const WRITER_SPEC = 'test/streams.writer.spec.ts';
const ACCESS_SPEC = 'test/streams.access.spec.ts';

const inRedis = (name) => [`${STORE_SPEC} › Redis broker ${name}`];
const inMemory = (name) => [`${STORE_SPEC} › memory broker ${name}`];
const script = { file: 'src/broker/redis/stream.lua' };
const memory = { file: 'src/broker/memory/memory.streams.ts' };
const owned = { file: 'src/streams/owned-stream.ts' };
const packs = { file: 'src/streams/packs.ts', tests: ['src/streams/packs.spec.ts'] };
const reader = { file: 'src/streams/stream-reader.ts', tests: [SPEC] };
const service = { file: 'src/streams/sse-streams.service.ts' };

/** Streams: their store, their producers and their readers. */
export const streams = [
  {
    ...script,
    guard: 'a stream whose lease has expired is lost (Redis)',
    find: ` and now > tonumber(stream.lease) then`,
    replace: ` and false then`,
    tests: inRedis('take nothing from an owner whose lease'),
  },
  {
    ...script,
    guard: 'only the owner appends (Redis)',
    find: `stream.owner ~= owner or stream['end']`,
    replace: `stream['end']`,
    tests: inRedis('take nothing after their end'),
  },
  {
    ...script,
    guard: 'nothing is stored after the end (Redis)',
    find: `stream.owner ~= owner or stream['end']`,
    replace: `stream.owner ~= owner`,
    tests: inRedis('take nothing after their end'),
  },
  {
    ...script,
    guard: 'a pack is stored once (Redis)',
    find: `for at = 2 * known + 1, #packs, 2 do`,
    replace: `for at = 1, #packs, 2 do`,
    tests: inRedis('store a pack once'),
  },
  {
    ...script,
    guard: 'a stream that has lost packs ends',
    find: `  if known < 0 then return lose('data') end\n`,
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
    ...script,
    guard: 'the history of a stream expires from its first pack',
    find: `elseif isNew or now`,
    replace: `elseif now`,
    tests: [`${BOUNDS_SPEC} › expire from their first moment`],
  },
  {
    ...script,
    guard: 'the expiry is renewed while a stream is live',
    find: `now > stream.renewed + stream.leaseMs / 2`,
    replace: `false`,
    tests: [`${BOUNDS_SPEC} › expire from their first moment`],
  },
  {
    ...script,
    guard: 'a channel with events becomes no stream (Redis)',
    find: `elseif not stream.generation and #redis.call('XRANGE', history, '-', '+', 'COUNT', 1) > 0 then`,
    replace: `elseif false then`,
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
    find: `.filter(({ cursor }) => compareCursors(cursor, after) > 0)`,
    replace: '',
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
    find: `    if (this.streams.get(channel)) throw streamError(channel);\n`,
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
  {
    ...owned,
    guard: 'a failed call is repeated',
    find: `if (state === 'failed') return this.#retry();`,
    replace: `if (state === 'failed') return;`,
    tests: [`${OUTAGE_SPEC} › closes all connections`],
  },
  {
    ...owned,
    guard: 'a producer hears that its lease has expired, also without Redis',
    find: `if (performance.now() - this.#leasedAt > leaseMs) return`,
    replace: `if (false) return`,
    tests: [`${OUTAGE_SPEC} › hangs for longer than the lease`],
  },
  {
    ...owned,
    guard: 'a producer hears that it was replaced',
    find: `state.owner !== owner`,
    replace: `false`,
    tests: [`${OWNER_SPEC} › on Express replaces it`],
  },
  {
    ...owned,
    guard: 'a lease is renewed while nothing is written',
    find: `>= period && this.renew()`,
    replace: `>= period && undefined`,
    tests: [`${ABORT_SPEC} › where the owner gets no messages`],
  },
  {
    ...owned,
    guard: 'an end is stored after everything that was written',
    find: `this.#end !== undefined && this.#packs.hasOnly(packs.length)`,
    replace: `this.#end !== undefined`,
    tests: [`${SPEC} › in memory delivers more events`],
  },
  {
    ...owned,
    guard: 'maxBytes ends a stream',
    find: `this.#bytes > this.ownership.options.maxBytes`,
    replace: `false`,
    tests: [`${BOUNDS_SPEC} › exceed maxBytes`],
  },
  {
    ...packs,
    guard: 'a pack that was sent takes no more events',
    find: `!pack || pack.isSealed || `,
    replace: `!pack || `,
  },
  {
    ...packs,
    guard: 'a pack is bounded by its size',
    find: ` || pack.size + event.length > PACK_SIZE`,
    replace: '',
  },
  {
    ...reader,
    guard: 'a client of another generation gets a reset',
    find: `isCursor(lastEventId) && compareCursors(lastEventId, generation) >= 0`,
    replace: `isCursor(lastEventId)`,
    tests: [`${SPEC} › in memory resets a client`],
  },
  {
    ...reader,
    guard: 'a reader gets no event of another program',
    find: `!event.isStored || `,
    replace: '',
    tests: [`${SPEC} › on Redis gets no event of a publisher`],
  },
  {
    ...reader,
    guard: 'a connection ends with the stream',
    find: `    if (event.type === END_TYPE) this.#finish();\n`,
    replace: '',
    tests: [`${SPEC} › in memory is delivered from`],
  },
  {
    ...reader,
    guard: 'a client that has the end gets 204',
    find: `state.end !== undefined && lastEventId === state.tip`,
    replace: `false`,
    tests: [`${SPEC} › in memory is answered with 204 after`],
  },
  {
    ...reader,
    guard: 'a stream is replayed whatever its length',
    find: `readonly isUnbounded = true`,
    replace: `readonly isUnbounded = false`,
    tests: [`${SPEC} › in memory delivers more events`],
  },
  {
    file: 'src/streams/stream-watches.ts',
    guard: 'the store is asked when a lease should have been renewed',
    find: `watch.timer ??= this.#later(`,
    replace: `watch.timer ??= (() => undefined)(`,
    tests: [`${OWNER_SPEC} › is killed ends as lost for every reader`],
  },
  {
    file: 'src/streams/stream-watches.ts',
    guard: 'an end whose message was lost is read',
    find: `if (state !== 'failed' && !isLive) this.channels.catchUp`,
    replace: `if (false) this.channels.catchUp`,
    tests: [`${OUTAGE_SPEC} › whose end gets lost`],
  },
  {
    ...service,
    guard: 'a request is answered with `stopped` only if the owner has ended it for that',
    find: `state.end.status === 'aborted' && state.end.reason === asked.abort`,
    replace: `true`,
    tests: [`${ABORT_SPEC} › is not answered with`],
  },
  {
    ...service,
    guard: 'a live stream is not started again',
    find: `stream instanceof OwnedStream || options.attach`,
    replace: `true`,
    tests: [`${OWNER_SPEC} › on Express at the same moment`],
  },
  {
    file: 'src/streams/sse-stream-writer.ts',
    guard: 'a source that waits is cancelled',
    find: `if (!isDone) Promise.resolve(iterator.return?.())`,
    replace: `if (false) Promise.resolve(iterator.return?.())`,
    tests: [`${WRITER_SPEC} › in memory has its source cancelled`],
  },
  {
    file: 'src/streams/sse-stream-writer.ts',
    guard: 'pipe() waits above 1 MiB',
    find: `if (this.stream.isFull) await this.ready;`,
    replace: '',
    tests: [`${OUTAGE_SPEC} › waits in pipe`],
  },
  {
    file: 'src/routes/channel.guard.ts',
    guard: 'a stop is not answered as if it were done while the authorizer fails',
    find: `if (!delivers) throw new ServiceUnavailableException();`,
    replace: '',
    tests: [`${ACCESS_SPEC} › on Express is decided by the guard`],
  },
  {
    file: 'src/sse.module.ts',
    guard: 'producers have the drain to end',
    find: `signal === undefined ? 0 : this.options.drainMs`,
    replace: `0`,
    tests: [`${OWNER_SPEC} › gets SIGTERM is done`],
  },
];

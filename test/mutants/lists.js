const ALL_SPEC = 'test/publish-all.spec.ts';
const OUTAGE_SPEC = 'test/publish-all.outage.spec.ts';
const REFUSALS_SPEC = 'test/publish-all.refusals.spec.ts';
const EQUAL_SPEC = 'test/publish-all.equal.spec.ts';
const QUEUE_SPEC = 'src/broker/redis/publication-queue.lists.spec.ts';
const onRedis = (name) => [`${ALL_SPEC} › on Redis ${name}`];
const outage = (name) => [`${OUTAGE_SPEC} › ${name}`];
const refusal = (name) => [`${REFUSALS_SPEC} › ${name}`];

const script = { file: 'src/broker/redis/publish-all.lua' };
const undone = (find) => ({
  ...script,
  guard: `undone: ${find.trim()}`,
  find,
  replace: '',
  tests: [...refusal('is undone if the Redis user may not run'), ...refusal('leaves nothing behind')],
});
const queue = { file: 'src/broker/redis/publication-queue.ts', tests: [QUEUE_SPEC] };
const command = { file: 'src/broker/redis/list-command.ts' };
const commands = {
  file: 'src/broker/redis/publish-commands.ts',
  tests: outage('are one for each 1,000 events'),
};

/** Guards of `publishAll()` on Redis. */
export const lists = [
  {
    ...script,
    guard: 'a list is stored once',
    find: `if last >= tonumber(number) then`,
    replace: `if false then`,
    tests: outage('is stored once when its reply is lost'),
  },
  {
    ...script,
    guard: 'nothing is sent of a list whose keys are refused',
    find: `      messages[#messages + 1] = string.sub(event, start)\n    end\n  end`,
    replace: `      redis.call(command, live, string.sub(event, start))\n    end\n  end`,
    tests: refusal('sends nothing without memory'),
  },
  {
    ...script,
    guard: 'a list is not stored before its predecessor',
    find: `if after ~= '' and last < tonumber(after) then`,
    replace: `if false then`,
    tests: refusal('is stored before the later ones of its channel'),
  },
  {
    ...script,
    guard: 'nobody publishes a list to a stream',
    find: `if known[5] then return`,
    replace: `if false then return`,
    tests: onRedis('says of each event'),
  },
  {
    ...script,
    guard: 'a key of a list counts once',
    find: `  local first = idempotency and redis.call('GET', idempotency)\n  if first then\n    answer[#answer + 1] = place\n`,
    replace: `  local first = false\n  if first then\n    answer[#answer + 1] = place\n`,
    tests: onRedis('publishes once for each idempotency key'),
  },
  {
    ...script,
    guard: 'a repeated list knows the ids of its keys',
    find: `    if detail[3] > 0 then`,
    replace: `    if false then`,
    tests: outage('knows the ids of its idempotency keys'),
  },
  {
    ...script,
    guard: 'an id that is used twice means its first event',
    find: `reused = id ~= '' and isReused(id)`,
    replace: `reused = false`,
    tests: onRedis('resumes after the first event'),
  },
  {
    ...script,
    guard: 'older ids expire',
    find: `      redis.call('PEXPIRE', ids, math.ceil(ttl * 1.1))\n      redis.call('RENAME'`,
    replace: `      redis.call('RENAME'`,
    tests: [EQUAL_SPEC],
  },
  {
    ...script,
    guard: 'a list is trimmed',
    find: `    redis.call('XTRIM', history, 'MAXLEN', '~', size)\n`,
    replace: '',
    tests: outage('is found by its last events'),
  },
  undone(`for _, cursor in ipairs(stored) do redis.pcall('XDEL', history, cursor) end\n`),
  undone(`  redis.pcall('HSET', meta, 'cursor', prev)\n`),
  undone(`  redis.pcall('XSETID', history, prev)\n`),
  undone(` redis.pcall('HDEL', meta, publisher)`),
  undone(`else redis.pcall('HSET', meta, publisher, last) `),
  undone(`  redis.pcall('HDEL', ids, id)\n`),
  undone(`  redis.pcall('HDEL', olderIds, id)\n`),
  undone(`for _, key in ipairs(newKeys) do redis.pcall('DEL', key) end\n`),
  {
    ...script,
    guard: 'a key without history is forgotten where nothing was sent',
    find: `      for _, key in ipairs(newKeys) do redis.call('DEL', key) end\n`,
    replace: '',
    tests: refusal('keeps no idempotency key if PUBLISH is forbidden'),
  },
  {
    ...queue,
    guard: 'each event of a list is counted',
    find: `    this.usage.count += command.count;\n`,
    replace: `    this.usage.count++;\n`,
  },
  {
    ...queue,
    guard: 'a part of a list is not sent after one that was given up',
    find: `    if (next.state === 'waiting') this.#giveUp(next);\n`,
    replace: '',
  },
  {
    ...queue,
    guard: 'a part of a list in flight is decided by its answer',
    find: `    if (next.state === 'waiting') this.#giveUp(next);\n`,
    replace: `    this.#giveUp(next);\n`,
  },
  {
    ...queue,
    guard: 'a part of a list that was refused is not sent again after one that was given up',
    file: 'src/broker/redis/publication.ts',
    find: `this.isOrphaned || isFinal(error)`,
    replace: `isFinal(error)`,
  },
  {
    ...queue,
    guard: 'each event of a list has a number',
    file: 'src/broker/redis/publisher.ts',
    find: `this.#count += part.count`,
    replace: `this.#count++`,
  },
  {
    ...commands,
    guard: 'a call has a bounded number of events',
    find: `part.length >= CALL_EVENTS || `,
    replace: '',
  },
  {
    ...commands,
    guard: 'a call has a bounded size',
    find: ` || size + body.length > CALL_SIZE`,
    replace: '',
  },
  {
    ...commands,
    guard: 'a list of transient events needs no history',
    find: `publications.some(({ transient }) => !transient)`,
    replace: `true`,
    tests: onRedis('says of each event'),
  },
  {
    ...command,
    guard: 'the longest list fits where nothing is pending',
    find: `(sum, { publication }) => sum + publication.data.length`,
    replace: `(sum, { body }) => sum + body.length`,
    tests: outage('fits where nothing is pending'),
  },
  {
    ...command,
    guard: 'the ids of a list follow from any of its cursors',
    find: `Number(n) - place`,
    replace: `Number(n)`,
    tests: outage('is found by its last events'),
  },
  {
    ...command,
    guard: 'what is only sent goes to the server that a channel leaves',
    find: `route.asking && !isStored && !this.#isKeyed`,
    replace: `false`,
    tests: ['test/publish-all.cluster.spec.ts › sharded Pub/Sub follow a channel that moves'],
  },
];

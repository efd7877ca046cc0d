-- Gives an event its cursor, stores it, and sends it to every subscriber, atomically.
--
-- KEYS[1] history     stream: the channel's events. An entry's one field is named for the version of its value
-- KEYS[2] meta        hash: `cursor` of the last event, `genesis` before the first; `maxEvents`, `maxAgeMs` if set; for each of
--                     the last publishers `@<publisher>`, the number of its last publication
-- KEYS[3] ids         hash: publishers' own ids to cursors; may be left out, with the next, where the event has no own id
-- KEYS[4] olderIds    hash: the same, of events before those
-- KEYS[#] idempotency only with an idempotency key, behind the others: string, the id it was first published with
-- ARGV[1] live        the Pub/Sub channel
-- ARGV[2] body        the message as a JSON object, without `cursor` and `prev`
-- ARGV[3] id          the publisher's own id, which the body then holds; or ''
-- ARGV[4] nonce       identifies this publication, 8 to 40 characters without spaces
-- ARGV[5] random      a random whole number, 0 to 2^20 - 1
-- ARGV[6] maxEvents   how many events the channel keeps from now on; '' to leave that as it is; 0 to send without storing
-- ARGV[7] maxAgeMs    for how long it keeps them; '' to leave that as it is
-- ARGV[8] command     PUBLISH, or SPUBLISH in a cluster with sharded Pub/Sub; PUBLISH if left out
-- ARGV[9] number      of the publication, which counts up with those of its publisher, the first 8 characters of the nonce; may be
--                     left out. The channel takes each number once, and none after a higher one: so an attempt may be repeated
-- ARGV[10] after      the number that the publisher has sent before this one and has no answer to; or ''
--
-- Returns the event's public id; '' if it has none. REPEATED: the channel has taken this number, or a higher one. UNORDERED: it has
-- not taken the one before it.
local history, meta, ids, olderIds = unpack(KEYS)
local idempotency = KEYS[#KEYS == 3 and 3 or 5]
local live, body, id, nonce, random, maxEvents, maxAgeMs, command, number, after = unpack(ARGV)
local META_S, IDEMPOTENCY_S, PUBLISHERS = 86400, 600, 64

if maxEvents == '0' then
  local first = idempotency and redis.call('GET', idempotency)
  if first then return first end
  if idempotency then redis.call('SET', idempotency, id, 'EX', IDEMPOTENCY_S) end
  local sent = redis.pcall(command or 'PUBLISH', live, body)
  if type(sent) ~= 'table' then return id end
  -- Nothing was sent, so a retry with the same key must not be taken for a repetition.
  if idempotency then redis.call('DEL', idempotency) end
  return sent
end

local publisher = number and '@' .. string.sub(nonce, 1, 8) or ''
local known = redis.call('HMGET', meta, 'cursor', 'maxEvents', 'maxAgeMs', publisher, 'generation')
if known[5] then return redis.error_reply('STREAM: the channel is a stream, to which only its producer writes') end
local last = tonumber(known[4] or -1)
local first = idempotency and redis.call('GET', idempotency)
if number then
  if last >= tonumber(number) then
    return first or redis.error_reply('REPEATED: the channel has taken this publication, or a later one')
  end
  if after and after ~= '' and last < tonumber(after) then
    return redis.error_reply('UNORDERED: the channel has not taken the publication before this one')
  end
end
if first then
  if number then redis.call('HSET', meta, publisher, number) end
  if redis.call('TTL', meta) < 0 then redis.call('EXPIRE', meta, META_S) end
  return first
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prev = known[1]
if not prev then
  local last = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  prev = last and last[1]
end
-- A chain begins with a position before its first event, so that clients which were connected before it can resume there.
-- Numbers are doubles here: a large one prints as 1.7e+12 unless it is formatted.
local genesis = not prev and string.format('%.0f-%.0f', now, random)
prev = prev or genesis
local reused = false
if id ~= '' then
  for _, key in ipairs({ olderIds, ids }) do
    local cursor = redis.call('HGET', key, id)
    reused = reused or cursor and #redis.call('XRANGE', history, cursor, cursor) > 0
  end
end

local ms, n = now, random
local prevMs, prevN = string.match(prev, '^(%d+)-(%d+)$')
-- While the clock is behind, a replica that takes over must not give the cursors that the old master gave to lost events.
if ms < tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 + random
elseif ms == tonumber(prevMs) then n = prevN + 1 end
local cursor = string.format('%.0f-%.0f', ms, n)
local size = maxEvents ~= '' and maxEvents or known[2] or 1000
local ttl = tonumber(maxAgeMs ~= '' and maxAgeMs or known[3] or 600000)

if reused then body = string.sub(body, 1, -2) .. ',"reused":true}' end

-- The first write: without memory the script fails here, and has changed nothing.
redis.call('XADD', history, 'MAXLEN', '~', size, cursor, '1', prev .. ' ' .. nonce .. ' ' .. body)

local public = id == '' and cursor or id
local done, failure = pcall(function()
  -- Moves this publisher to the end, so that eviction takes the publishers that have been idle the longest.
  if last >= 0 and redis.call('HLEN', meta) > PUBLISHERS / 2 then redis.call('HDEL', meta, publisher) end
  if number then redis.call('HSET', meta, 'cursor', cursor, publisher, number)
  else redis.call('HSET', meta, 'cursor', cursor) end
  if number and last < 0 and redis.call('HLEN', meta) > PUBLISHERS then
    -- A small hash keeps its fields in insertion order: the first ones are the oldest.
    local publishers = {}
    for _, field in ipairs(redis.call('HKEYS', meta)) do
      if string.sub(field, 1, 1) == '@' and field ~= publisher then publishers[#publishers + 1] = field end
    end
    for at = 1, #publishers - PUBLISHERS / 2 do redis.call('HDEL', meta, publishers[at]) end
  end
  if genesis then redis.call('HSET', meta, 'genesis', genesis) end
  local changed = maxEvents ~= '' and (known[2] ~= maxEvents or known[3] ~= maxAgeMs)
  if changed then redis.call('HSET', meta, 'maxEvents', maxEvents, 'maxAgeMs', maxAgeMs) end
  if changed or redis.call('PTTL', history) < ttl then
    -- A tenth in advance, so that most publications need not do this.
    redis.call('PEXPIRE', history, math.ceil(ttl * 1.1))
    redis.call('EXPIRE', meta, math.max(META_S, math.ceil(ttl / 500)))
    redis.call('XTRIM', history, 'MINID', '~', string.format('%.0f', now - ttl))
  end
  if id ~= '' and not reused then
    if redis.call('HLEN', ids) >= tonumber(size) then
      redis.call('RENAME', ids, olderIds)
    end
    redis.call('HSET', ids, id, cursor)
    redis.call('PEXPIRE', ids, math.ceil(ttl * 1.1))
  end
  if idempotency then redis.call('SET', idempotency, public, 'EX', IDEMPOTENCY_S) end
  local own = id == '' and ',"id":"' .. cursor .. '"' or ''
  local link = ',"cursor":"' .. cursor .. '","prev":"' .. prev .. '"}'
  redis.call(command or 'PUBLISH', live, string.sub(body, 1, -2) .. own .. link)
end)
if done then return public end

-- Redis does not roll back scripts. If the user lacks a right, PUBLISH included, no subscriber has got the event, so it is undone.
redis.pcall('XDEL', history, cursor)
redis.pcall('XSETID', history, prev)
redis.pcall('HSET', meta, 'cursor', prev)
if number and last < 0 then redis.pcall('HDEL', meta, publisher) end
if number and last >= 0 then redis.pcall('HSET', meta, publisher, last) end
if id ~= '' and not reused then redis.pcall('HDEL', ids, id) end
if idempotency then redis.pcall('DEL', idempotency) end
return type(failure) == 'table' and failure or redis.error_reply(failure)

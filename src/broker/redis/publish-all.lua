-- Gives the events of a list their cursors, stores them, and sends them to every subscriber of one channel, in order: all, or none.
-- What is stored and sent of each event is the same as with publish.lua.
--
-- KEYS[1] history, KEYS[2] meta  as in publish.lua
-- KEYS[3] ids, KEYS[4] olderIds  only if an event has an own id. If nothing is to be stored, only the first of the four is needed
-- KEYS[#] idempotency            behind the others, for each event with an idempotency key
-- ARGV[1] live       as in publish.lua, with the next four
-- ARGV[2] command
-- ARGV[3] random
-- ARGV[4] maxEvents  0 to send without storing
-- ARGV[5] maxAgeMs
-- ARGV[6] number     of the first event; those of the others follow it. The channel takes the list once
-- ARGV[7] after      as in publish.lua
-- ARGV[8] details    of each event that has more than a message, as JSON: its place in the list from 1, its own id or '', the place of
--                    its idempotency key in KEYS or 0, and 1 if it is transient or 0; or ''
-- ARGV[9] …          the events: a nonce, which ends with the number in base 36, a space, and the body as in publish.lua
--
-- Returns the cursor of the first event; the others have the following ones, used or not. '' if the channel has taken the list, or a
-- later number, or if maxEvents is 0. Then the place and the id of each event that was published before with its idempotency key.
local history, meta, ids, olderIds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local live, command, random, maxEvents, maxAgeMs, number, after, details = unpack(ARGV, 1, 8)
local META_S, IDEMPOTENCY_S, PUBLISHERS, BEFORE = 86400, 600, 64, 8
local count, plain = #ARGV - BEFORE, { 0, '', 0, 0 }
local detailed = {}
for _, detail in ipairs(details ~= '' and cjson.decode(details) or {}) do detailed[detail[1]] = detail end
local function eventAt(place)
  local _, id, key, transient = unpack(detailed[place] or plain)
  local event = ARGV[BEFORE + place]
  return event, string.find(event, ' ', 9, true) + 1, id, KEYS[key], transient == 1
end

if maxEvents == '0' then
  local answer, messages, newKeys = { '' }, {}, {}
  -- PUBLISH is no write. Redis refuses the first write, if any, so the keys come before the messages.
  for place = 1, count do
    local event, start, id, idempotency = eventAt(place)
    local first = idempotency and redis.call('GET', idempotency)
    if first then
      answer[#answer + 1] = place
      answer[#answer + 1] = first
    else
      if idempotency then
        redis.call('SET', idempotency, id, 'EX', IDEMPOTENCY_S)
        newKeys[#newKeys + 1] = idempotency
      end
      messages[#messages + 1] = string.sub(event, start)
    end
  end
  for _, message in ipairs(messages) do
    local sent = redis.pcall(command, live, message)
    if type(sent) == 'table' then
      -- If the user lacks the right, the first one fails. A retry must not be taken for a repetition.
      for _, key in ipairs(newKeys) do redis.call('DEL', key) end
      return sent
    end
  end
  return answer
end

local publisher = '@' .. string.sub(ARGV[BEFORE + 1], 1, 8)
local known = redis.call('HMGET', meta, 'cursor', 'maxEvents', 'maxAgeMs', publisher, 'generation')
if known[5] then return redis.error_reply('STREAM: the channel is a stream, to which only its producer writes') end
local last = tonumber(known[4] or -1)
if last >= tonumber(number) then
  local answer = { '' }
  for place, detail in pairs(detailed) do
    if detail[3] > 0 then
      answer[#answer + 1] = place
      answer[#answer + 1] = redis.call('GET', KEYS[detail[3]]) or ''
    end
  end
  return answer
end
if after ~= '' and last < tonumber(after) then
  return redis.error_reply('UNORDERED: the channel has not taken the publication before this one')
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prev = known[1]
if not prev then
  local last = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  prev = last and last[1]
end
-- From here to the loop as in publish.lua, where it is explained.
local genesis = not prev and string.format('%.0f-%.0f', now, random)
prev = prev or genesis
local ms, n = now, tonumber(random)
local prevMs, prevN = string.match(prev, '^(%d+)-(%d+)$')
if ms < tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 + random
elseif ms == tonumber(prevMs) then n = prevN + 1 end
local size = maxEvents ~= '' and maxEvents or known[2] or 1000
local ttl = tonumber(maxAgeMs ~= '' and maxAgeMs or known[3] or 600000)

-- An event that is not stored leaves its cursor unused, so that the place tells the cursor.
local stamp = string.format('%.0f-', ms)
local answer, messages, stored, newIds, newKeys = { stamp .. string.format('%.0f', n) }, {}, {}, {}, {}
local tip, idCount = prev, nil

local function isReused(id)
  for _, key in ipairs({ olderIds, ids }) do
    local cursor = redis.call('HGET', key, id)
    if cursor and #redis.call('XRANGE', history, cursor, cursor) > 0 then return true end
  end
  return false
end

-- Most events are only a message. This is all that is done for each of them.
local function storePlain(place)
  local event, cursor = ARGV[BEFORE + place], stamp .. string.format('%.0f', n + place - 1)
  -- The first write: without memory the script fails here.
  redis.call('XADD', history, cursor, '1', tip .. ' ' .. event)
  stored[#stored + 1] = cursor
  messages[#messages + 1] = string.sub(event, string.find(event, ' ', 9, true) + 1, -2) .. ',"id":"' .. cursor
    .. '","cursor":"' .. cursor .. '","prev":"' .. tip .. '"}'
  tip = cursor
end

local function store(place)
  local event, start, id, idempotency, isTransient = eventAt(place)
  if isTransient then
    messages[#messages + 1] = string.sub(event, start)
    return
  end
  local first = idempotency and redis.call('GET', idempotency)
  if first then
    answer[#answer + 1] = place
    answer[#answer + 1] = first
    return
  end
  local cursor = stamp .. string.format('%.0f', n + place - 1)
  local reused = id ~= '' and isReused(id)
  if reused then event = string.sub(event, 1, -2) .. ',"reused":true}' end
  redis.call('XADD', history, cursor, '1', tip .. ' ' .. event)
  stored[#stored + 1] = cursor
  if id ~= '' and not reused then
    idCount = idCount or redis.call('HLEN', ids)
    if idCount >= tonumber(size) then
      -- Its ids may all be of this call.
      redis.call('PEXPIRE', ids, math.ceil(ttl * 1.1))
      redis.call('RENAME', ids, olderIds)
      idCount = 0
    end
    newIds[#newIds + 1] = id
    idCount = idCount + redis.call('HSET', ids, id, cursor)
  end
  if idempotency then
    newKeys[#newKeys + 1] = idempotency
    redis.call('SET', idempotency, id == '' and cursor or id, 'EX', IDEMPOTENCY_S)
  end
  local own = id == '' and ',"id":"' .. cursor .. '"' or ''
  messages[#messages + 1] = string.sub(event, start, -2) .. own .. ',"cursor":"' .. cursor .. '","prev":"' .. tip .. '"}'
  tip = cursor
end

local done, failure = pcall(function()
  for place = 1, count do (detailed[place] and store or storePlain)(place) end
  local newest = string.format('%.0f', number + count - 1)
  if last >= 0 and redis.call('HLEN', meta) > PUBLISHERS / 2 then redis.call('HDEL', meta, publisher) end
  if #stored == 0 then
    redis.call('HSET', meta, publisher, newest)
    if redis.call('TTL', meta) < 0 then redis.call('EXPIRE', meta, META_S) end
  else
    redis.call('HSET', meta, 'cursor', tip, publisher, newest)
  end
  if last < 0 and redis.call('HLEN', meta) > PUBLISHERS then
    local publishers = {}
    for _, field in ipairs(redis.call('HKEYS', meta)) do
      if string.sub(field, 1, 1) == '@' and field ~= publisher then publishers[#publishers + 1] = field end
    end
    for at = 1, #publishers - PUBLISHERS / 2 do redis.call('HDEL', meta, publishers[at]) end
  end
  if #stored > 0 then
    if genesis then redis.call('HSET', meta, 'genesis', genesis) end
    local changed = maxEvents ~= '' and (known[2] ~= maxEvents or known[3] ~= maxAgeMs)
    if changed then redis.call('HSET', meta, 'maxEvents', maxEvents, 'maxAgeMs', maxAgeMs) end
    local isDue = changed or redis.call('PTTL', history) < ttl
    if isDue then
      redis.call('PEXPIRE', history, math.ceil(ttl * 1.1))
      redis.call('EXPIRE', meta, math.max(META_S, math.ceil(ttl / 500)))
    end
    if #newIds > 0 then redis.call('PEXPIRE', ids, math.ceil(ttl * 1.1)) end
    redis.call('XTRIM', history, 'MAXLEN', '~', size)
    if isDue then redis.call('XTRIM', history, 'MINID', '~', string.format('%.0f', now - ttl)) end
  end
  for _, message in ipairs(messages) do redis.call(command, live, message) end
end)
if done then return answer end

-- As in publish.lua: if the user lacks a right, no subscriber has got any of the events, so they are undone.
for _, cursor in ipairs(stored) do redis.pcall('XDEL', history, cursor) end
if #stored > 0 then
  redis.pcall('XSETID', history, prev)
  redis.pcall('HSET', meta, 'cursor', prev)
end
if last < 0 then redis.pcall('HDEL', meta, publisher)
else redis.pcall('HSET', meta, publisher, last) end
for _, id in ipairs(newIds) do
  redis.pcall('HDEL', ids, id)
  redis.pcall('HDEL', olderIds, id)
end
for _, key in ipairs(newKeys) do redis.pcall('DEL', key) end
return type(failure) == 'table' and failure or redis.error_reply(failure)

/* oxlint-disable max-lines */
// Generated from the .lua files by scripts.generate.js: change those.

export const APPEND = `local history, meta = unpack(KEYS)
local live, command, random, owner, leaseMs, expiryMs, ending, number = unpack(ARGV, 1, 8)
local known = redis.call('HMGET', meta, 'cursor', 'owner', 'lease', 'number', 'end', 'abort', 'watched')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if known[2] ~= owner or known[5] or now > tonumber(known[3]) then return false end
local stored = known[4] - number + 1
if stored < 0 then return false end
local cursor = known[1]
local isNew = known[4] == '0'
local messages = {}
local ms, n = string.match(cursor, '^(%d+)-(%d+)$')
ms, n = tonumber(ms), n + 1
if ms < now then ms, n = now, tonumber(random)
elseif ms > now then n = n + random end
for at = 9 + 2 * stored, #ARGV, 2 do
  local events, last = ARGV[at + 1], n + ARGV[at] - 1
  local first, prev = string.format('%.0f-%.0f', ms, n), cursor
  cursor = last == n and first or string.format('%.0f-%.0f', ms, last)
  n = last + 1
  local value = prev .. ' ' .. first .. ' ' .. events
  local added
  if isNew then added = redis.call('XADD', history, cursor, '2', value)
  else added = redis.call('XADD', history, 'NOMKSTREAM', cursor, '2', value) end
  if not added then return false end
  isNew = false
  messages[#messages + 1] = '{"events":' .. events .. ',"first":"' .. first .. '","cursor":"' .. cursor .. '","prev":"' .. prev .. '"}'
end
local lease = string.format('%.0f', now + leaseMs)
if #messages == 0 then redis.call('HSET', meta, 'lease', lease)
else redis.call('HSET', meta, 'lease', lease, 'cursor', cursor, 'number', number + (#ARGV - 8) / 2 - 1) end
if ending ~= '' then redis.call('HSET', meta, 'end', ending) end
if expiryMs ~= '' then
  redis.call('PEXPIRE', meta, expiryMs)
  redis.call('PEXPIRE', history, expiryMs)
end
for _, message in ipairs(messages) do redis.call(command, live, message) end
local isWatched = (known[7] or '') == '' or tonumber(known[7]) > now
return { known[6] or '', isWatched and 1 or 0 }
`;

export const FIND = `local history = KEYS[1]
local publisher, first, from = unpack(ARGV)
local BATCH, BATCHES = 100, 10
local answer = { '' }
for _ = 1, BATCHES do
  local batch = redis.call('XREVRANGE', history, from, '-', 'COUNT', BATCH)
  for _, entry in ipairs(batch) do
    local nonce = string.match(entry[2][2], '^%S+ (%S+) ')
    if nonce and string.sub(nonce, 1, #publisher) == publisher then
      if tonumber(string.sub(nonce, #publisher + 1), 36) < tonumber(first, 36) then return answer end
      answer[#answer + 1] = nonce
      answer[#answer + 1] = entry[1]
    end
  end
  if #batch < BATCH then return answer end
  from = '(' .. batch[#batch][1]
end
answer[1] = from
return answer
`;

export const PUBLISH_ALL = `local history, meta, ids, olderIds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
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
local genesis = not prev and string.format('%.0f-%.0f', now, random)
prev = prev or genesis
local ms, n = now, tonumber(random)
local prevMs, prevN = string.match(prev, '^(%d+)-(%d+)$')
if ms < tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 + random
elseif ms == tonumber(prevMs) then n = prevN + 1 end
local size = maxEvents ~= '' and maxEvents or known[2] or 1000
local ttl = tonumber(maxAgeMs ~= '' and maxAgeMs or known[3] or 600000)
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
local function storePlain(place)
  local event, cursor = ARGV[BEFORE + place], stamp .. string.format('%.0f', n + place - 1)
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
`;

export const PUBLISH = `local history, meta, ids, olderIds = unpack(KEYS)
local idempotency = KEYS[#KEYS == 3 and 3 or 5]
local live, body, id, nonce, random, maxEvents, maxAgeMs, command, number, after = unpack(ARGV)
local META_S, IDEMPOTENCY_S, PUBLISHERS = 86400, 600, 64
if maxEvents == '0' then
  local first = idempotency and redis.call('GET', idempotency)
  if first then return first end
  if idempotency then redis.call('SET', idempotency, id, 'EX', IDEMPOTENCY_S) end
  local sent = redis.pcall(command or 'PUBLISH', live, body)
  if type(sent) ~= 'table' then return id end
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
if ms < tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 + random
elseif ms == tonumber(prevMs) then n = prevN + 1 end
local cursor = string.format('%.0f-%.0f', ms, n)
local size = maxEvents ~= '' and maxEvents or known[2] or 1000
local ttl = tonumber(maxAgeMs ~= '' and maxAgeMs or known[3] or 600000)
if reused then body = string.sub(body, 1, -2) .. ',"reused":true}' end
redis.call('XADD', history, 'MAXLEN', '~', size, cursor, '1', prev .. ' ' .. nonce .. ' ' .. body)
local public = id == '' and cursor or id
local done, failure = pcall(function()
  if last >= 0 and redis.call('HLEN', meta) > PUBLISHERS / 2 then redis.call('HDEL', meta, publisher) end
  if number then redis.call('HSET', meta, 'cursor', cursor, publisher, number)
  else redis.call('HSET', meta, 'cursor', cursor) end
  if number and last < 0 and redis.call('HLEN', meta) > PUBLISHERS then
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
redis.pcall('XDEL', history, cursor)
redis.pcall('XSETID', history, prev)
redis.pcall('HSET', meta, 'cursor', prev)
if number and last < 0 then redis.pcall('HDEL', meta, publisher) end
if number and last >= 0 then redis.pcall('HSET', meta, publisher, last) end
if id ~= '' and not reused then redis.pcall('HDEL', ids, id) end
if idempotency then redis.pcall('DEL', idempotency) end
return type(failure) == 'table' and failure or redis.error_reply(failure)
`;

export const READ = `local history, meta, ids, olderIds = unpack(KEYS)
local random, maxEvents, maxAgeMs, limit, mostEvents, mostBytes, id = unpack(ARGV)
local META_S, UNUSED_S, BATCH, PAGE_BYTES, OLDEST = 86400, 600, 64, 524288, '0000000000-0'
local COUNTED, COUNTED_BYTES = 20000, 16777216
limit, mostEvents, mostBytes = tonumber(limit), tonumber(mostEvents), tonumber(mostBytes)
local known = redis.call('HMGET', meta, 'cursor', 'maxEvents', 'maxAgeMs', 'genesis', 'generation')
local tip, genesis = known[1], known[4]
if not tip then
  local last = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  local time = redis.call('TIME')
  genesis = string.format('%.0f-%.0f', time[1] * 1000 + math.floor(time[2] / 1000), random)
  tip = last and last[1] or genesis
  local isOfStream = last and last[2][1] == '2'
  local written = isOfStream or redis.pcall('HSET', meta, 'cursor', tip, 'genesis', genesis)
  if type(written) == 'table' and not last then tip = OLDEST end
end
if maxEvents ~= '' and (known[2] ~= maxEvents or known[3] ~= maxAgeMs) then
  redis.pcall('HSET', meta, 'maxEvents', maxEvents, 'maxAgeMs', maxAgeMs)
end
local left = redis.call('TTL', meta)
if known[5] then
elseif tip == genesis then
  if left < UNUSED_S * 0.9 or left > UNUSED_S then redis.pcall('EXPIRE', meta, UNUSED_S) end
else
  local seconds = math.max(META_S, math.ceil((maxAgeMs ~= '' and maxAgeMs or known[3] or 0) / 500))
  if left < seconds then redis.pcall('EXPIRE', meta, math.ceil(seconds * 1.1)) end
end
local positions = { unpack(ARGV, 8) }
local newest = tonumber(positions[1] and string.match(positions[1], '^%-(%d+)$'))
if id ~= '' then
  for _, key in ipairs({ olderIds, ids }) do
    positions[#positions + 1] = redis.call('HGET', key, id) or nil
  end
end
local trimmed
local function trimmedTo()
  if trimmed == nil then
    local first = redis.call('XRANGE', history, '-', '+', 'COUNT', 1)[1]
    trimmed = first and (string.match(first[2][2], '^%d+%-%d+') or OLDEST) or false
  end
  return trimmed
end
local function isInPack(cursor)
  local next = redis.call('XRANGE', history, '(' .. cursor, '+', 'COUNT', 1)[1]
  if not next or next[2][1] ~= '2' then return false end
  local ms, n = string.match(cursor, '^(%d+)-(%d+)$')
  local firstMs, firstN = string.match(next[2][2], '^%S+ (%d+)-(%d+) ')
  return ms == firstMs and tonumber(firstN) <= tonumber(n)
end
local after
for _, cursor in ipairs(newest and {} or positions) do
  if cursor == OLDEST then cursor = trimmedTo() or tip end
  if cursor == tip or #redis.call('XRANGE', history, cursor, cursor) > 0 or cursor == trimmedTo() or known[5] and isInPack(cursor) then
    after = cursor
    break
  end
end
local entries, seen, events, bytes, isTruncated = {}, 0, 0, 0, 0
local function nextCount(count, seen, bytes)
  return math.max(1, math.min(2 * count, BATCH, math.ceil(PAGE_BYTES * seen / (4 * bytes + 1))))
end
local function eventsOf(entry)
  local first = entry[2][1] == '2' and string.match(entry[2][2], '^%S+ %d+%-(%d+) ')
  return first and string.match(entry[1], '%d+$') - first + 1 or 1
end
local function beforeLast(entry, n)
  local ms, last = string.match(entry[1], '^(%d+)-(%d+)$')
  return n == 0 and entry[1] or string.format('%s-%.0f', ms, last - n)
end
if newest then
  mostEvents, mostBytes = math.min(mostEvents, COUNTED), math.min(mostBytes, COUNTED_BYTES)
  local start, count = '+', 1
  repeat
    local batch = redis.call('XREVRANGE', history, start, '-', 'COUNT', count)
    for _, entry in ipairs(batch) do
      bytes = bytes + #entry[2][2]
      local left = bytes > mostBytes and 0 or math.min(newest, mostEvents) - events
      if left < eventsOf(entry) then
        after, isTruncated = beforeLast(entry, left), events + left < newest and 1 or 0
        break
      end
      seen, events = seen + 1, events + eventsOf(entry)
    end
    if after or #batch < count then break end
    start, count = '(' .. batch[#batch][1], nextCount(count, seen, bytes)
  until false
  after = after or trimmedTo() or tip
  seen, events, bytes, mostEvents, mostBytes = 0, 0, 0, nil, nil
end
local function isWithinLimits()
  return events <= (mostEvents or math.huge) and bytes <= (mostBytes or math.huge)
end
if after and after ~= tip and limit > 0 then
  local start, count = '(' .. after, 1
  repeat
    if not mostEvents then count = math.min(count, limit - #entries) end
    local batch = redis.call('XRANGE', history, start, '+', 'COUNT', count)
    for _, entry in ipairs(batch) do
      if #entries < limit and bytes < PAGE_BYTES then entries[#entries + 1] = entry end
      bytes = bytes + #entry[2][2]
      if mostEvents then events = events + eventsOf(entry) end
    end
    seen = seen + #batch
    if #batch < count then break end
    start, count = '(' .. batch[#batch][1], nextCount(count, seen, bytes)
  until mostEvents and (not isWithinLimits() or events > COUNTED or bytes > COUNTED_BYTES) or not mostEvents and (#entries >= limit or bytes >= PAGE_BYTES)
end
if not isWithinLimits() then return { tip, after, {}, 1 } end
return { tip, after or '', entries, isTruncated }
`;

export const STREAM = `local history, meta = unpack(KEYS)
local live, command, random, operation = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names = { 'cursor', 'generation', 'owner', 'lease', 'leaseMs', 'keepMs', 'number', 'end', 'abort', 'watched' }
local stream = {}
for n, value in ipairs(redis.call('HMGET', meta, unpack(names))) do stream[names[n]] = value or nil end
local isOver = stream.generation and (stream['end'] or now > tonumber(stream.lease))
if isOver and stream.cursor ~= stream.generation and redis.call('PTTL', history) == -2 then stream = { cursor = stream.cursor } end
local function nextCursor()
  local ms, n = now, tonumber(random)
  local prevMs, prevN = string.match(stream.cursor or '0-0', '^(%d+)-(%d+)$')
  if ms < tonumber(prevMs) then ms, n = tonumber(prevMs), prevN + 1 + random
  elseif ms == tonumber(prevMs) then n = prevN + 1 end
  return string.format('%.0f-%.0f', ms, n)
end
local function expire(ms)
  redis.call('PEXPIRE', meta, ms)
  redis.call('PEXPIRE', history, ms)
end
local function finish(status, reason)
  local data = '{"status":"' .. status .. '","reason":"' .. reason .. '"}'
  local prev, cursor, events = stream.cursor, nextCursor(), '[{"end":' .. data .. '}]'
  redis.call('XADD', history, cursor, '2', prev .. ' ' .. cursor .. ' ' .. events)
  stream.cursor, stream['end'] = cursor, data
  redis.call('HSET', meta, 'cursor', cursor, 'end', data)
  expire(stream.keepMs)
  local place = ',"first":"' .. cursor .. '","cursor":"' .. cursor .. '","prev":"' .. prev .. '"}'
  redis.call(command, live, '{"events":' .. events .. place)
end
local isLost = 0
local function lose(reason)
  finish('lost', reason)
  isLost = 1
end
if stream.generation and not stream['end'] and now > tonumber(stream.lease) then lose('lease') end
local function start(owner, leaseMs, keepMs, replaces, watches)
  if stream.owner == owner then return end
  if stream.generation and not stream['end'] then
    if replaces ~= '1' then return end
    finish('aborted', 'replaced')
  elseif not stream.generation and (redis.call('XRANGE', history, '-', '+', 'COUNT', 1)[1] or { '', { '2' } })[2][1] ~= '2' then
    return redis.error_reply('NOSTREAM: the channel has events that are not of a stream')
  end
  local prev, generation = stream.cursor, nextCursor()
  stream = { cursor = generation, generation = generation, owner = owner, lease = now + leaseMs, leaseMs = leaseMs,
    keepMs = keepMs, number = '0', watched = watches == '1' and now + 2 * leaseMs or '' }
  local fields = {}
  for name, value in pairs(stream) do
    fields[#fields + 1] = name
    fields[#fields + 1] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  redis.call('HSET', meta, unpack(fields))
  redis.call('HDEL', meta, 'end', 'abort')
  redis.call('DEL', history)
  expire(keepMs + 2 * leaseMs)
  local link = '{"events":[],"cursor":"' .. generation .. '","prev":"' .. (prev or generation) .. '"}'
  local sent = redis.pcall(command, live, link)
  if type(sent) ~= 'table' then return end
  redis.call('DEL', meta)
  return sent
end
local isLive = stream.generation and not stream['end']
local failure
if operation == 'start' then failure = start(unpack(ARGV, 5))
elseif operation == 'settle' and isLive and stream.owner == ARGV[5] then
  local hasEvents = #redis.call('XRANGE', history, '-', '+', 'COUNT', 1) > 0
  if ARGV[6] - stream.number > 1 or stream.number ~= '0' and not hasEvents then lose('data') end
elseif operation == 'look' and ARGV[5] == '1' and isLive and (stream.watched or '') ~= '' then
  redis.call('HSET', meta, 'watched', string.format('%.0f', now + 2 * stream.leaseMs))
elseif operation == 'abort' and isLive and not stream.abort then
  stream.abort = ARGV[5]
  redis.call('HSET', meta, 'abort', stream.abort)
end
if failure then return failure end
if not stream.generation then return { '' } end
local isWatched = (stream.watched or '') == '' or tonumber(stream.watched) > now
return { stream.generation, stream.cursor, math.max(0, stream.lease - now), stream.owner, tonumber(stream.number),
  stream['end'] or '', stream.abort or '', isWatched and 1 or 0, isLost }
`;

-- Reads the tip of a channel, and the events after a position. A channel without events gets a cursor that marks its
-- beginning, so that clients always have a position to resume from. Clients may invent names, so that cursor is kept for
-- 10 minutes after the last read only, until something is published. While Redis accepts no writes, reads still work.
--
-- KEYS[1] history    as in publish.lua
-- KEYS[2] meta
-- KEYS[3] ids        may be left out, with the next, where the position is no id
-- KEYS[4] olderIds
-- ARGV[1] random     a random whole number, 0 to 2^20 - 1
-- ARGV[2] maxEvents  as in publish.lua
-- ARGV[3] maxAgeMs
-- ARGV[4] limit      how many events at most
-- ARGV[5] mostEvents how many events and bytes may be behind the position, for any to be returned; '' for any number. No more than
--                    20,000 and 16 MiB are counted
-- ARGV[6] mostBytes
-- ARGV[7] id         the position as an id that a publisher gave; or ''
-- ARGV[8] …          any number of positions as cursors, in order of preference; 0000000000-0 is before all stored events.
--                    Or -n: before the newest n events, or as many of them as mostEvents and mostBytes allow
--
-- Returns the tip; the first known position, as a cursor, or ''; the entries after it; whether there
-- are more than allowed (1 or 0).
local history, meta, ids, olderIds = unpack(KEYS)
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
  -- What is left of a stream is not kept.
  local isOfStream = last and last[2][1] == '2'
  local written = isOfStream or redis.pcall('HSET', meta, 'cursor', tip, 'genesis', genesis)
  -- The next read could not know a beginning that was not stored.
  if type(written) == 'table' and not last then tip = OLDEST end
end
if maxEvents ~= '' and (known[2] ~= maxEvents or known[3] ~= maxAgeMs) then
  redis.pcall('HSET', meta, 'maxEvents', maxEvents, 'maxAgeMs', maxAgeMs)
end
-- Renewed a tenth ahead of time, so that most reads write nothing. A stream expires by its own rules.
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

-- XRANGE copies the whole entry, whatever its size. It runs only if nothing else decides.
local trimmed
local function trimmedTo()
  if trimmed == nil then
    local first = redis.call('XRANGE', history, '-', '+', 'COUNT', 1)[1]
    -- An entry of another program has no predecessor.
    trimmed = first and (string.match(first[2][2], '^%d+%-%d+') or OLDEST) or false
  end
  return trimmed
end
-- The cursors of a pack are consecutive, and only the last one is the id of an entry.
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
-- By the entries so far: large ones come one at a time, small ones up to 64.
local function nextCount(count, seen, bytes)
  return math.max(1, math.min(2 * count, BATCH, math.ceil(PAGE_BYTES * seen / (4 * bytes + 1))))
end
-- How many events an entry has, and the cursor before the last n of them.
local function eventsOf(entry)
  local first = entry[2][1] == '2' and string.match(entry[2][2], '^%S+ %d+%-(%d+) ')
  -- Another program may use the same name.
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

-- Where a channel is, and what follows a position in it. A channel without events is given a cursor that marks its
-- beginning, so that its readers always have a place to come back to. Readers may make up names, so that is kept for
-- 10 minutes after the last reading only, until something is published.
--
-- KEYS[1] history   as in publish.lua
-- KEYS[2] meta
-- KEYS[3] ids       may be left out, with the next, where the position is no id
-- KEYS[4] olderIds
-- ARGV[1] random    a random whole number, 0 to 2^20 - 1
-- ARGV[2] maxEvents as in publish.lua
-- ARGV[3] maxAgeMs
-- ARGV[4] limit     how many events at most
-- ARGV[5] id        the position as an id that a publisher gave; or ''
-- ARGV[6] …         any number of positions as cursors, the most wanted first; 0000000000-0 is before all that is kept
--
-- Returns the cursor of the last event; the first position that is known, as a cursor, or ''; the entries behind it.
local history, meta, ids, olderIds = unpack(KEYS)
local random, maxEvents, maxAgeMs, limit, id = unpack(ARGV)
local META_S, UNUSED_S, BATCH, PAGE_BYTES, OLDEST = 86400, 600, 16, 524288, '0000000000-0'

local known = redis.call('HMGET', meta, 'cursor', 'maxEvents', 'maxAgeMs', 'genesis')
local tip, genesis = known[1], known[4]
if not tip then
  local last = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  local time = redis.call('TIME')
  genesis = string.format('%.0f-%.0f', time[1] * 1000 + math.floor(time[2] / 1000), random)
  tip = last and last[1] or genesis
  redis.call('HSET', meta, 'cursor', tip, 'genesis', genesis)
end
if maxEvents ~= '' and (known[2] ~= maxEvents or known[3] ~= maxAgeMs) then
  redis.call('HSET', meta, 'maxEvents', maxEvents, 'maxAgeMs', maxAgeMs)
end
local meta_s = math.max(META_S, math.ceil((maxAgeMs ~= '' and maxAgeMs or known[3] or 0) / 500))
redis.call('EXPIRE', meta, tip == genesis and UNUSED_S or meta_s)

local positions = { unpack(ARGV, 6) }
if id ~= '' then
  for _, key in ipairs({ olderIds, ids }) do
    positions[#positions + 1] = redis.call('HGET', key, id) or nil
  end
end

local after
local first = redis.call('XRANGE', history, '-', '+', 'COUNT', 1)[1]
local trimmed = first and string.match(first[2][2], '^%S+')
for _, cursor in ipairs(positions) do
  if cursor == OLDEST then cursor = trimmed or tip end
  if cursor == tip or cursor == trimmed or #redis.call('XRANGE', history, cursor, cursor) > 0 then
    after = cursor
    break
  end
end

local entries, bytes = {}, 0
if after then
  local start, count = '(' .. after
  repeat
    count = math.min(BATCH, limit - #entries)
    local batch = count > 0 and redis.call('XRANGE', history, start, '+', 'COUNT', count) or {}
    for _, entry in ipairs(batch) do
      if bytes >= PAGE_BYTES then break end
      entries[#entries + 1] = entry
      bytes = bytes + #entry[2][2]
    end
    if #batch > 0 then start = '(' .. batch[#batch][1] end
  until #batch < BATCH or bytes >= PAGE_BYTES
end
return { tip, after or '', entries }

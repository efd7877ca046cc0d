-- Stores and sends packs of a stream, and its end; renews the lease of its owner. It is called for every few events, so it reads as
-- little as it can: `stream.lua` finds out why it has refused.
--
-- KEYS[1] history as in stream.lua
-- KEYS[2] meta
-- ARGV[1] live     the Pub/Sub channel
-- ARGV[2] command  PUBLISH or SPUBLISH
-- ARGV[3] random   a random whole number, 0 to 2^20 - 1
-- ARGV[4] owner
-- ARGV[5] leaseMs
-- ARGV[6] expiryMs after how long the keys expire; '' to leave that as it is. Needed with the first pack, every now and then, and at the end
-- ARGV[7] end      as JSON, if the last event of the last pack is the end; or ''
-- ARGV[8] number   of the first pack: each number is stored once
-- ARGV[9] …        for each pack how many events, and their JSON array
--
-- Returns the reason of a request to stop, or '', and whether the stream has readers, or needs none (1 or 0). Nil if nothing was stored: the
-- owner has lost the stream, or events before these are missing.
local history, meta = unpack(KEYS)
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
-- As in publish.lua.
if ms < now then ms, n = now, tonumber(random)
elseif ms > now then n = n + random end
for at = 9 + 2 * stored, #ARGV, 2 do
  local events, last = ARGV[at + 1], n + ARGV[at] - 1
  local first, prev = string.format('%.0f-%.0f', ms, n), cursor
  cursor = last == n and first or string.format('%.0f-%.0f', ms, last)
  n = last + 1
  local value = prev .. ' ' .. first .. ' ' .. events
  -- The first write: without memory the script fails here. A history that is not there any more was evicted.
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

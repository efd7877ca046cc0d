-- Which publications of one publisher are in a channel's history, from a certain one on: for when their answers are
-- missing. It looks from the newest event back. What is not there yet, and still on its way, is refused from now on.
--
-- KEYS[1] history as in publish.lua
-- KEYS[2] meta
-- ARGV[1] prefix  of the publisher's nonces, 8 characters: each is the prefix and a number in base 36, counted up
-- ARGV[2] first   the first number that is looked for
-- ARGV[3] age     ms since that was sent for the first time, at least
-- ARGV[4] from    where to begin: '+', or what the last call returned
--
-- Returns where to go on, or ''; whether what was not found is not there (1), or that is unknown (0); and nonces, each
-- followed by its cursor.
local history, meta = unpack(KEYS)
local prefix, first, age, from = unpack(ARGV)
local BATCH, BATCHES, FENCED, META_S = 100, 10, 600, 86400

local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000) - age
local function msOf(cursor) return tonumber(string.match(cursor or '', '^(%d+)-') or 0) end

local fenced = redis.call('HGET', meta, 'fenced') or ''
if from == '+' and not string.find(fenced, prefix, 1, true) then
  -- The last ones do: what is on its way does not take for ever.
  redis.call('HSET', meta, 'fenced', string.sub(fenced .. ' ' .. prefix, -FENCED))
  if redis.call('TTL', meta) < 0 then redis.call('EXPIRE', meta, META_S) end
end

local answer = { '', 1 }
local edge = redis.call('HGET', meta, 'cursor')
for _ = 1, BATCHES do
  local batch = redis.call('XREVRANGE', history, from, '-', 'COUNT', BATCH)
  for _, entry in ipairs(batch) do
    local prev, nonce = string.match(entry[2][2], '^(%S+) (%S+) ')
    edge = prev
    if nonce and string.sub(nonce, 1, #prefix) == prefix then
      if tonumber(string.sub(nonce, #prefix + 1), 36) < tonumber(first, 36) then return answer end
      answer[#answer + 1] = nonce
      answer[#answer + 1] = entry[1]
    end
  end
  if #batch < BATCH then
    -- What came before is gone. Was it there at the time?
    if edge and edge ~= redis.call('HGET', meta, 'genesis') and msOf(edge) >= since then answer[2] = 0 end
    return answer
  end
  from = '(' .. batch[#batch][1]
  if msOf(batch[#batch][1]) < since then return answer end
end
-- With the last one again, as what it says of the one before it may be asked for.
answer[1] = string.sub(from, 2)
return answer

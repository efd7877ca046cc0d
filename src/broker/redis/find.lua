-- Finds the publications of one publisher in a channel's history, from a number on: those that `publish.lua` has called
-- repeated. It looks from the newest event back.
--
-- KEYS[1] history as in publish.lua
-- ARGV[1] publisher  the first 8 characters of its nonces: each is these and a number in base 36, counted up
-- ARGV[2] first      the lowest number to look for
-- ARGV[3] from       where to begin: '+', or what the last call returned
--
-- Returns where to go on, or ''; then nonces, each followed by its cursor.
local history = KEYS[1]
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

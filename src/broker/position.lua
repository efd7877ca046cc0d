-- The cursor of a channel's last event; a channel without any is given one that marks its beginning.
--
-- KEYS[1] meta    hash of the channel; its field `cursor` is the place of the last event
-- ARGV[1] random  a random whole number, 0 to 2^20 - 1
-- ARGV[2] metaTtl seconds
--
-- Returns the cursor.
local meta, random, metaTtl = KEYS[1], ARGV[1], ARGV[2]

local cursor = redis.call('HGET', meta, 'cursor')
if not cursor then
  local time = redis.call('TIME')
  cursor = string.format('%.0f-%.0f', time[1] * 1000 + math.floor(time[2] / 1000), random)
  redis.call('HSET', meta, 'cursor', cursor)
end
redis.call('EXPIRE', meta, metaTtl)
return cursor

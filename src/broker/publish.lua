-- Gives one event its place in a channel and sends it to every subscriber, atomically.
--
-- KEYS[1] meta        hash of the channel; its field `cursor` is the place of the last event
-- KEYS[2] idempotency only with an idempotency key: string, the id it was first published with
-- ARGV[1] live        the Pub/Sub channel
-- ARGV[2] body        the message as a JSON object, without `cursor` and `prev`
-- ARGV[3] id          the publisher's own id, which the body then holds; or ''
-- ARGV[4] random      a random whole number, 0 to 2^20 - 1
-- ARGV[5] metaTtl     seconds
-- ARGV[6] keyTtl      seconds; with KEYS[2]
--
-- Returns the event's public id.
local meta, idempotency = KEYS[1], KEYS[2]
local live, body, id, random, metaTtl, keyTtl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

if idempotency then
  local first = redis.call('GET', idempotency)
  if first then return first end
end

-- Numbers are doubles here: a large one prints as 1.7e+12 unless it is formatted.
local prev = redis.call('HGET', meta, 'cursor')
local time = redis.call('TIME')
local ms, n = time[1] * 1000 + math.floor(time[2] / 1000), random
if prev then
  local prevMs, prevN = string.match(prev, '^(%d+)-(%d+)$')
  if ms <= tonumber(prevMs) then ms, n = tonumber(prevMs), tonumber(prevN) + 1 end
end
local cursor = string.format('%.0f-%.0f', ms, n)

redis.call('HSET', meta, 'cursor', cursor)
redis.call('EXPIRE', meta, metaTtl)
local own = ''
if id == '' then
  id = cursor
  own = ',"id":"' .. cursor .. '"'
end
local link = ',"cursor":"' .. cursor .. '","prev":' .. (prev and '"' .. prev .. '"' or 'null') .. '}'
local sent = redis.pcall('PUBLISH', live, string.sub(body, 1, -2) .. own .. link)
if type(sent) == 'table' and sent.err then
  -- Scripts are not rolled back. An ACL may refuse this: then nobody has got the event, and it never was.
  if prev then redis.call('HSET', meta, 'cursor', prev) else redis.call('DEL', meta) end
  return sent
end
if idempotency then redis.call('SET', idempotency, id, 'EX', keyTtl) end
return id

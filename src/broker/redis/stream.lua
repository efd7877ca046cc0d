-- Starts a stream, reads its state, or asks its owner to stop it. A stream is a channel whose events have one producer and an end.
-- `append.lua` stores the events. The owner holds a lease: the first call after the lease has expired ends the stream as lost.
--
-- KEYS[1] history as in publish.lua. An entry of a stream has a field `2`: a pack of events with consecutive cursors
-- KEYS[2] meta    as in publish.lua, and for a stream: `generation`, the cursor before its first event; `owner`, who may append;
--                 `lease`, until when, in ms of this server's clock; `leaseMs`; `keepMs`, for how long it is kept after its end; `number` of
--                 the last pack; `watched`, until when it has readers, if it stops without them; `abort`, the reason of a request to stop; `end`, its end as JSON
-- ARGV[1] live      the Pub/Sub channel
-- ARGV[2] command   PUBLISH or SPUBLISH
-- ARGV[3] random    a random whole number, 0 to 2^20 - 1
-- ARGV[4] operation and its arguments:
--   start   owner, a name that is not used again; leaseMs; keepMs; 1 to replace a live stream; 1 to stop it without readers
--   settle  owner; the number of the pack that the owner was refused to append: a stream that misses the one before it is lost
--   look    1 if this node has readers
--   abort   reason
--
-- Returns the generation ('' without a stream), the tip, the ms that are left of the lease, the owner, the number of the last pack,
-- the end, the reason of the abort request, whether it has readers, and whether this call has ended it as lost.
local history, meta = unpack(KEYS)
local live, command, random, operation = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names = { 'cursor', 'generation', 'owner', 'lease', 'leaseMs', 'keepMs', 'number', 'end', 'abort', 'watched' }
local stream = {}
for n, value in ipairs(redis.call('HMGET', meta, unpack(names))) do stream[names[n]] = value or nil end
-- Meta may outlive the history: a node of the release before streams extends its expiry. Nothing is kept of the stream then.
local isOver = stream.generation and (stream['end'] or now > tonumber(stream.lease))
if isOver and stream.cursor ~= stream.generation and redis.call('PTTL', history) == -2 then stream = { cursor = stream.cursor } end

local function nextCursor()
  local ms, n = now, tonumber(random)
  local prevMs, prevN = string.match(stream.cursor or '0-0', '^(%d+)-(%d+)$')
  -- As in publish.lua.
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
  -- The first write: without memory the script fails here.
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
  -- Nodes that are subscribed follow the chain into the new generation.
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
  -- This server has taken over without the last packs, or has evicted the events.
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

"""What Valkey decides by itself, each in one script: nobody else comes in between.

A circuit has three keys: a hash with the copy of its row, a hash with the buckets of its window,
and a sorted set with the tokens of calls in flight, each by the moment at which its lease ends.
All times are Valkey's own, in ms; what comes in from outside are durations.
"""

NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(number) return string.format('%.0f', number) end
"""

# What was asked of a provider in this minute and in the last one.
ROLL = """
local function roll(key)
  local minute = math.floor(now / 60000)
  local p = redis.call('HMGET', key, 'minute', 'calls', 'retries')
  if p[1] == text(minute) then return end
  local is_next = p[1] == text(minute - 1)
  redis.call('HSET', key, 'minute', text(minute), 'calls', 0, 'retries', 0,
    'calls_before', is_next and p[2] or 0, 'retries_before', is_next and p[3] or 0)
end
"""

# KEYS: circuit, window, provider.  ARGV: version, calls, failures, slow, the rows of failures at
# the beginning, at the end and the longest of the batch, bucket ms, buckets.
# Adds a batch of outcomes to the window, if they are of the era that the circuit is in, and returns
# how the provider and the circuit stand. Without a circuit only the former.
SYNC = (
    NOW
    + ROLL
    + """
local blocked = math.max(0, (tonumber(redis.call('HGET', KEYS[3], 'blocked')) or 0) - now)
local c = redis.call('HMGET', KEYS[1], 'version', 'state', 'until', 'since', 'held', 'ramped',
  'trip', 'permille')
if not c[1] then return {blocked} end
local tally = {0, 0, 0, 0}
local calls, failures = tonumber(ARGV[2]), tonumber(ARGV[3])
if calls > 0 then
  roll(KEYS[3])
  redis.call('HINCRBY', KEYS[3], 'calls', calls)
end
if calls > 0 and c[1] == ARGV[1] and c[2] == 'CLOSED' then
  local bucket = math.floor(now / ARGV[8])
  local run = tonumber(redis.call('HGET', KEYS[2], 'run')) or 0
  tally[4] = math.max(tonumber(ARGV[5]) > 0 and run + ARGV[5] or 0, tonumber(ARGV[7]))
  run = failures == calls and run + failures or tonumber(ARGV[6])
  redis.call('HSET', KEYS[2], 'run', run)
  for i, what in ipairs({'calls', 'failures', 'slow'}) do
    redis.call('HINCRBY', KEYS[2], text(bucket) .. what, ARGV[i + 1])
  end
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local of, what = string.match(all[i], '^(%d+)(%a+)$')
    if of and tonumber(of) <= bucket - ARGV[9] then
      redis.call('HDEL', KEYS[2], all[i])
    elseif of then
      local at = what == 'calls' and 1 or what == 'failures' and 2 or 3
      tally[at] = tally[at] + all[i + 1]
    end
  end
end
return {blocked, c[1], c[2], math.max(0, c[3] - now), math.max(0, now - c[4]), c[5], c[6], c[7],
  c[8], tally[1], tally[2], tally[3], tally[4]}
"""
)

# KEYS: circuit, in flight.  ARGV: version, token, lease ms, one of so many, so many in flight.
# Lets a call through, or says why not and for how many ms: 'stale' where the circuit is in another
# era than the caller believes. A circuit that is not closed has one call in flight, whoever asks.
ENTER = (
    NOW
    + """
local c = redis.call('HMGET', KEYS[1], 'version', 'state', 'until', 'held')
if c[1] ~= ARGV[1] then return {'stale', 0} end
if c[4] == '1' then return {'held', 0} end
local most = 1
if c[2] == 'CLOSED' then
  most = tonumber(ARGV[5])
  if (redis.call('HINCRBY', KEYS[1], 'asked', 1) - 1) % ARGV[4] ~= 0 then return {'ramp', 0} end
  if most == 0 then return {'in', 0} end
elseif tonumber(c[3]) > now then
  return {'wait', c[3] - now}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= most then
  return {'busy', redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] - now}
end
redis.call('ZADD', KEYS[2], text(now + ARGV[3]), ARGV[2])
return {'in', 0}
"""
)

# KEYS: circuit, in flight.  ARGV: version, token, 1 for a success, successes needed, lease ms.
# Takes a probe's outcome, unless its era or its lease is over: then somebody else probes already,
# and what this one saw is old. The last one keeps its lease while the change is being written.
FINISH = (
    NOW
    + """
local ends = redis.call('ZSCORE', KEYS[2], ARGV[2])
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] or not ends or tonumber(ends) <= now then
  return 'stale'
end
local verdict = 'failed'
if ARGV[3] == '0' then
  redis.call('HSET', KEYS[1], 'successes', 0)
else
  if redis.call('HINCRBY', KEYS[1], 'successes', 1) < tonumber(ARGV[4]) then
    redis.call('ZREM', KEYS[2], ARGV[2])
    return 'more'
  end
  verdict = 'enough'
end
redis.call('ZADD', KEYS[2], text(now + ARGV[5]), ARGV[2])
return verdict
"""
)

# KEYS: in flight.  ARGV: token, lease ms.  1 where the lease still stood, and now does anew.
RENEW = (
    NOW
    + """
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) <= now then return 0 end
redis.call('ZADD', KEYS[1], text(now + ARGV[2]), ARGV[1])
return 1
"""
)

# KEYS: in flight.  ARGV: token.  Gives a lease back.
LEAVE = "return redis.call('ZREM', KEYS[1], ARGV[1])"

# KEYS: circuit, window, in flight.  ARGV: the version seen before, 1 to keep who is in flight,
# version, state, ms left, ms since, held, ramped, trip, failures per mille.
# Takes a row that is newer than the copy. An older one is taken only where the copy is the very one
# that was seen before the row was read: then the database has lost what the copy says (a backup).
PUSH = (
    NOW
    + """
local has, version = redis.call('HGET', KEYS[1], 'version'), tonumber(ARGV[3])
if has and not (version > tonumber(has) or has == ARGV[1] and version < tonumber(has)) then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] == '0' then redis.call('DEL', KEYS[3]) end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'state', ARGV[4], 'until', text(now + ARGV[5]),
  'since', text(now - ARGV[6]), 'held', ARGV[7], 'ramped', ARGV[8], 'trip', ARGV[9],
  'permille', ARGV[10])
return 1
"""
)

# KEYS: born, provider.  ARGV: weight, per minute, us per unit, burst.
# Takes from every limit of the provider or from none; returns {0} or {ms to wait, what held back}.
# The arithmetic is budget.py's, in integers.
TAKE = (
    NOW
    + """
local us = t[1] * 1000000 + t[2]
local weight, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local unit, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
local function div(a, b) return (a - a % b) / b end
local function up(a, b) return -div(-a, b) end
local born = tonumber(redis.call('GET', KEYS[1]))
if not born then
  born = now
  redis.call('SET', KEYS[1], text(now))
end
local p = redis.call('HMGET', KEYS[2], 'blocked', 'factor', 'refused', 'window', 'current',
  'previous', 'tat')
local blocked = tonumber(p[1]) or 0
if blocked > now then return {blocked - now, 'paused'} end
local factor = 1000
if p[2] then factor = math.min(1000, p[2] + 100 * div(math.max(0, now - p[3]), 30000)) end
local wait, what, W = 0, '', 60000
local window, elapsed = div(now, W), now % W
local current, previous = 0, 0
if limit > 0 then
  limit = div(limit * factor, 1000)
  if now - born < W then limit = div(limit, 2) end
  limit = math.max(1, limit)
  local n, at = math.min(weight, limit), tonumber(p[4])
  if at and at >= window then
    current, previous = tonumber(p[5]), tonumber(p[6])
  elseif at == window - 1 then
    previous = tonumber(p[5])
  end
  local function until_room(fading, room, e)
    if fading <= room then return 0 end
    return math.max(0, W - up((room + 1) * W, fading) + 1 - e)
  end
  if current + n <= limit then
    wait = until_room(previous, limit - current - n, elapsed)
  else
    wait = W - elapsed + until_room(current, limit - n, 0)
  end
  if wait > 0 then what = 'minute' end
  current = current + n
end
local tat = 0
if unit > 0 then
  unit = up(unit * 1000, factor)
  tat = math.max(us, tonumber(p[7]) or 0) + math.min(weight, burst) * unit
  local smoothing = up(math.max(0, tat - us - burst * unit), 1000)
  if smoothing > wait then wait, what = smoothing, 'second' end
end
if wait > 0 then return {wait, what} end
redis.call('HSET', KEYS[2], 'window', text(math.max(window, tonumber(p[4]) or 0)), 'current',
  text(current), 'previous', text(previous), 'tat', text(tat))
return {0, ''}
"""
)

# KEYS: provider.  ARGV: ms to pause.
# After a 429. Answers to calls that were under way when the first one came extend the pause, but
# take nothing more from the budget: they are the same refusal.
REFUSED = (
    NOW
    + """
local p = redis.call('HMGET', KEYS[1], 'blocked', 'factor', 'refused')
local blocked = tonumber(p[1]) or 0
if blocked <= now then
  local factor = 1000
  if p[2] then
    local since = math.max(0, now - p[3])
    factor = math.min(1000, p[2] + 100 * math.floor(since / 30000))
  end
  redis.call('HSET', KEYS[1], 'factor', math.max(1, math.floor(factor * 700 / 1000)))
end
redis.call('HSET', KEYS[1], 'refused', text(now), 'blocked', text(math.max(blocked, now + ARGV[1])))
"""
)

# KEYS: provider.  ARGV: retries allowed per mille of the calls.
# 1 where the minute's calls carry one more retry, which is then counted.
RETRY = (
    NOW
    + ROLL
    + """
roll(KEYS[1])
local rest = 60000 - now % 60000
local function held(what)
  local got = redis.call('HMGET', KEYS[1], what .. '_before', what)
  return math.floor((tonumber(got[1]) or 0) * rest / 60000) + (tonumber(got[2]) or 0)
end
if held('retries') + 1 > math.ceil(held('calls') * ARGV[1] / 1000) then return 0 end
redis.call('HINCRBY', KEYS[1], 'retries', 1)
return 1
"""
)

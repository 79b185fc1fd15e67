-- Keeps a session that was missing here and found in the database.
--
-- KEYS[1] the session   KEYS[2] its tombstone   KEYS[3] its user's epoch   KEYS[4] its user's index
-- ARGV[1] what keys of this generation begin with   ARGV[2] the digest
-- ARGV[3] when it was missed, by the clock here, before the database was asked   ARGV[4] how old it may be, ms
-- ARGV[5] the session's text
--
-- The session may have been ended since the database was asked. Then its tombstone is here, or a
-- higher epoch of its user; both stay for longer than a fill may be late.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local late = now - ARGV[3]
local expires = tonumber(string.sub(ARGV[5], 73, 88), 16)
if late < 0 or late > tonumber(ARGV[4]) or expires <= now then
    return 0
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return 0
end

local text = string.sub(ARGV[5], 17, 24)
local epoch = tonumber(text, 16)
local known = redis.call('GET', KEYS[3])
known = known and tonumber(known, 16) or -1
if known > epoch then
    return 0
end

-- A key never dies before what depends on it does.
local function keep_until(key, at)
    if redis.call('PTTL', key) < at - now then
        redis.call('PEXPIREAT', key, at)
    end
end

if known < epoch then
    for _, digest in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
        redis.call('DEL', ARGV[1] .. 's:' .. digest)
    end
    redis.call('DEL', KEYS[4])
    local left = redis.call('PTTL', KEYS[3])
    redis.call('SET', KEYS[3], text)
    redis.call('PEXPIREAT', KEYS[3], math.max(now + left, expires))
end
keep_until(KEYS[3], expires)
redis.call('SET', KEYS[1], ARGV[5])
redis.call('PEXPIREAT', KEYS[1], expires)
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
redis.call('ZADD', KEYS[4], expires, ARGV[2])
keep_until(KEYS[4], expires)
return 1

-- Notes that a session was seen, if it is here.
--
-- KEYS[1] the session   KEYS[2] its user's epoch   KEYS[3] its user's index
-- ARGV[1] the digest   ARGV[2] seen   ARGV[3] expires, both as in the session's text
local row = redis.call('GET', KEYS[1])
if not row or tonumber(string.sub(row, 57, 72), 16) >= tonumber(ARGV[2], 16) then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = tonumber(ARGV[3], 16)
if expires <= now then
    return 0
end
redis.call('SET', KEYS[1], string.sub(row, 1, 56) .. ARGV[2] .. ARGV[3] .. string.sub(row, 89))
redis.call('PEXPIREAT', KEYS[1], expires)
redis.call('ZADD', KEYS[3], expires, ARGV[1])
for _, key in ipairs({KEYS[2], KEYS[3]}) do
    if redis.call('PTTL', key) < expires - now then
        redis.call('PEXPIREAT', key, expires)
    end
end
return 1

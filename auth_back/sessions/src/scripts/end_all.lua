-- Ends every session of a user whose epoch has been raised in the database.
--
-- KEYS[1] the user's epoch   KEYS[2] the user's index
-- ARGV[1] what keys of this generation begin with   ARGV[2] the epoch   ARGV[3] how long the epoch stays
-- at least, ms: longer than somebody who read the database before may take to bring a session here
local known = redis.call('GET', KEYS[1])
if known and tonumber(known, 16) >= tonumber(ARGV[2], 16) then
    return 0
end
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', math.max(left, tonumber(ARGV[3])))
for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    redis.call('DEL', ARGV[1] .. 's:' .. digest)
end
redis.call('DEL', KEYS[2])
return 1

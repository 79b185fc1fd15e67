-- Ends a session that has been ended in the database.
--
-- KEYS[1] the session   KEYS[2] its tombstone
-- ARGV[1] what keys of this generation begin with   ARGV[2] the digest   ARGV[3] how long the tombstone
-- stays, ms: longer than somebody who read the database before may take to bring the session here
redis.call('SET', KEYS[2], '', 'PX', ARGV[3])
local row = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
if row then
    redis.call('ZREM', ARGV[1] .. 'i:' .. string.sub(row, 1, 16), ARGV[2])
end
return 1

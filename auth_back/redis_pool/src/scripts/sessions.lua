-- Does once what the scripts of sessions do, to a key of its own, and leaves nothing. It reads what is not there, so that
-- Redis counts no hits for it.
--
-- KEYS[1] the key
local time = redis.call('TIME')
local soon = time[1] * 1000 + 1000
redis.call('DEL', KEYS[1])
redis.call('GET', KEYS[1])
redis.call('EXISTS', KEYS[1])
redis.call('PTTL', KEYS[1])
redis.call('ZRANGE', KEYS[1], 0, -1)
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('PEXPIREAT', KEYS[1], soon)
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 1, 'x')
redis.call('PEXPIREAT', KEYS[1], soon)
redis.call('ZREM', KEYS[1], 'y')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 1)
redis.call('DEL', KEYS[1])
return 1

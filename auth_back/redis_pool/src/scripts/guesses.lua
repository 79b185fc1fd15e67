-- Does once what the scripts of the limiter do, to a key of its own, and leaves nothing. It reads what is not there, so
-- that Redis counts no hits for it.
--
-- KEYS[1] the key, which may hold a text
redis.call('TIME')
redis.call('DEL', KEYS[1])
redis.call('GET', KEYS[1])
redis.call('HGET', KEYS[1], 'x')
redis.call('HGETALL', KEYS[1])
redis.call('HLEN', KEYS[1])
redis.call('HSET', KEYS[1], 'x', '1')
redis.call('PEXPIRE', KEYS[1], '1000')
redis.call('HDEL', KEYS[1], 'x')
return 1

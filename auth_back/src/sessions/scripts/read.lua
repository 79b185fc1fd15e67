-- Reads a session, or says since when it is known to be missing.
--
-- KEYS[1] the session   ARGV[1] what keys of this generation begin with
--
-- The session counts if its user's epoch is there and is the same. Anything else is a miss, which the
-- database decides. A miss is answered with this server's time: whoever then finds the session in the
-- database has to bring it soon (fill.lua).
local row = redis.call('GET', KEYS[1])
if row and redis.call('GET', ARGV[1] .. 'u:' .. string.sub(row, 1, 16)) == string.sub(row, 17, 24) then
    return row
end
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)

-- Reads several sessions, each as read.lua does; false in the place of one that is missing.
--
-- KEYS[1..n] the sessions   ARGV[1] what keys of this generation begin with
--
-- There is no time in the answer: whoever wants to bring a session asks for it alone.
local found = {}
for place, key in ipairs(KEYS) do
    local session = redis.call('HMGET', key,
        'user', 'name', 'epoch', 'id', 'created', 'seen', 'expires', 'ends')
    found[place] = session[1] and redis.call('GET', ARGV[1] .. 'u:' .. session[1]) == session[3]
        and session
end
return found

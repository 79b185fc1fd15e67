-- Reads several sessions, each as read.lua does; false in the place of one that is missing.
--
-- KEYS[1..n] the sessions   ARGV[1] what keys of this generation begin with
--
-- A call of a command costs more than what it does here, so there are two, however many sessions there
-- are. There is no time in the answer: whoever wants to bring a session asks for it alone.
local sub = string.sub
local rows = redis.call('MGET', unpack(KEYS))
local user = ARGV[1] .. 'u:'
local users = {}
for place = 1, #KEYS do
    users[place] = user .. sub(rows[place] or '', 1, 16)
end
local epochs = redis.call('MGET', unpack(users))
for place = 1, #KEYS do
    local row = rows[place]
    rows[place] = row and sub(row, 17, 24) == epochs[place] and row
end
return rows

-- Forgets what an account has failed, as reserve.lua has counted it. Who is known to it stays known.
--
-- KEYS    the sets of the account and of its pairs with networks
-- ARGV[1] what each is, two letters for each, as there   [2] for how long a success is remembered
-- ARGV[3] and on: their fields
local time = redis.call('TIME')
local now = time[1] * 10 + math.floor(time[2] / 100000)
for i, set in ipairs(KEYS) do
    local field = ARGV[2 + i]
    local entry = find(set, field)
    if not entry.is_new then
        entry.level = 0
        put(ARGV[1]:sub(2 * i - 1, 2 * i - 1), set, field, entry, now, tonumber(ARGV[2]))
    end
end
return 1
